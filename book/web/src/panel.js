// The fold "Your answers" at the end of a day: download them, or add those of another browser.
import { make } from "./dom.js";
import { asCells, asJSON, asNotebook, asPython, fromJSON } from "./transfer.js";
import { week } from "./week.js";

const WORDS =
  "They are kept in this browser only, and nobody else sees them. To hand them in, download a notebook or a Python file; to go on in another browser, download the third file and add it there.";

export function panel(document, store) {
  const last = document.querySelector("article > section");
  if (!last || !document.querySelector(".exercise, .question, .prediction")) return;
  const heard = make("p", { role: "status" });
  const file = make("input", { type: "file", accept: ".json,application/json", id: "answers-file" });

  const offer = (words, name, text) => {
    const button = make("button", { type: "button", className: "task-button" }, words);
    button.addEventListener("click", async () => {
      try {
        save(name, await text());
        heard.textContent = "";
      } catch {
        heard.textContent = "The file cannot be made. Are you offline? Reload the page to try again.";
      }
    });
    return button;
  };
  file.addEventListener("change", async () => {
    try {
      const changed = store.merge(fromJSON(await file.files[0].text())).length;
      heard.textContent = changed
        ? `${changed} ${changed === 1 ? "answer was" : "answers were"} added. Nothing that you wrote here is lost.`
        : "All of these answers are here already.";
    } catch (error) {
      heard.textContent = error.message;
    }
    file.value = "";
  });

  const cells = async () => asCells(store, await week());
  last.append(
    make(
      "details",
      { className: "your-answers" },
      make("summary", {}, "Your answers"),
      make("p", {}, WORDS),
      make(
        "p",
        { className: "task-buttons" },
        offer("Download a notebook", "nnweek-answers.ipynb", async () => asNotebook(await cells())),
        offer("Download a Python file", "nnweek-answers.py", async () => asPython(await cells())),
        offer("Download for another browser", "nnweek-answers.json", () => asJSON(store)),
      ),
      make("p", {}, make("label", { htmlFor: file.id }, "Add answers from another browser:"), " ", file),
      heard,
      make("p", {}, "All questions of the week: ", make("a", { href: new URL("nnweek-questions.apkg", week.base) }, "a deck for Anki"), "."),
    ),
  );
}

function save(name, text) {
  const address = URL.createObjectURL(new Blob([text], { type: "application/octet-stream" }));
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
