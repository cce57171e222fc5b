// The workbench: what a reader does on a page, done where it is read. Every module enhances what
// the build has put into the page; without them, the page reads as it is.
import "./exercises.js";
import { panel } from "./panel.js";
import { predictions } from "./predictions.js";
import { progress } from "./progress.js";
import { questions } from "./questions.js";
import { review } from "./review.js";
import { store } from "./store.js";

for (const enhance of [predictions, questions, progress, review, panel]) enhance(document, store);
