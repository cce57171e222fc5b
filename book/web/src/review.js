// Three questions of earlier days: those that were missed, or whose time has come.
import { dayOf, make } from "./dom.js";
import { question } from "./questions.js";
import { week } from "./week.js";

const DAY = 24 * 60 * 60 * 1000; // milliseconds
export const WAITS = [1, 3, 7]; // days after the first, second and third right answer in a row

/** When a question is to be asked again: at once (0), at a time, or never (Infinity). */
export function due({ history = [] }) {
  const last = history.findLastIndex((answer) => !answer.right);
  const inARow = history.length - 1 - last;
  if (!inARow) return 0;
  return inARow > WAITS.length ? Infinity : history.at(-1).at + WAITS[inARow - 1] * DAY;
}

const number = (day) => Number(day.slice("day-".length));

/** The paths of at most three questions of earlier days: first the missed ones, then the longest due. */
export function choose(store, day, most = 3) {
  return store
    .entries("questions")
    .map(([path, record]) => ({ path, time: due(record), at: record.at }))
    .filter(({ path, time }) => number(path.split("/")[1]) < number(day) && time <= store.now())
    .sort((one, other) => one.time - other.time || one.at - other.at)
    .slice(0, most)
    .map(({ path }) => path);
}

/** Offer the questions in a fold below the facts of the day. */
export function review(document, store) {
  const day = dayOf(document.location.pathname);
  const place = document.querySelector("article .progress-line");
  const paths = day && place ? choose(store, day) : [];
  if (!paths.length) return;
  const summary = make("summary", {}, `Before you start: ${paths.length === 1 ? "a question" : `${paths.length} questions`} from earlier days`);
  const fold = make("details", { className: "review" }, summary);
  place.after(fold);
  const open = async () => {
    try {
      await fill(fold, paths, store);
    } catch {
      fold.append(make("p", { role: "status" }, "The questions cannot be loaded. Are you offline? Reload the page to try again."));
    }
  };
  fold.addEventListener("toggle", open, { once: true });
}

/** Put the questions at these paths into the fold. */
async function fill(fold, paths, store) {
  const days = await week();
  let asked = 0;
  for (const path of paths) {
    const [, day, place] = path.split("/");
    const html = days[day]?.questions[place - 1];
    if (!html) continue; // an earlier release of the course had this question
    const template = make("template", { innerHTML: html.replaceAll(`question-${place}`, `review-${day}-${place}`) });
    const card = template.content.firstElementChild;
    const from = make("a", { href: new URL(days[day].page, week.base) }, days[day].title);
    fold.append(make("p", { className: "from" }, "From ", from), card);
    question(card, store, path).askAgain();
    asked++;
  }
  if (!asked) fold.append(make("p", {}, "These questions are no longer in the course."));
}
