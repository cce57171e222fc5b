// The workbench: what a reader does on a page, done where it is read. Every module enhances what
// the build has put into the page; without them, the page reads as it is.
import "./exercises.js";
