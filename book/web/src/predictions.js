// Predictions: the reader's answer is taken before the result opens, kept, and shown beside it.
import { choice, dayOf, fingerprint, make } from "./dom.js";

/** Make a block `.prediction` take an answer; `path` is where the store keeps it. */
export function prediction(block, store, path) {
  const document = block.ownerDocument;
  const cell = document.getElementById(block.dataset.answeredBy);
  const results = resultsFrom(cell);
  if (!results.length) return;
  const of = fingerprint(block.textContent);
  const options = [...block.querySelectorAll(".options > li")];
  const draft = draftOf(path);
  const field = options.length ? choices(block, options) : line(block, block.dataset.asks === "number", draft);
  const kept = make("p", { className: "predicted", tabIndex: -1, hidden: true });
  const beside = make("p", { className: "predicted", hidden: true });
  const again = make("button", { type: "button", className: "text-button" }, "Predict again");
  const submit = make("button", { type: "submit", className: "task-button" }, "Show the result");
  const form = make("form", { noValidate: true, className: "predict" }, ...field.content, submit);
  results[0].querySelector("summary").after(beside);
  // More of the prediction, such as a list of cases, may follow it; the field comes after that.
  let end = block;
  while (end.nextElementSibling?.matches("div.cell") === false) end = end.nextElementSibling;
  if (end === block) block.append(form, kept);
  else end.after(make("div", { className: "prediction continued" }, form, kept));

  const recorded = () => {
    const record = store.get(path);
    return record?.of === of ? record : null;
  };
  const setOpen = (open) => results.forEach((one) => (one.open = open));

  function show(record) {
    form.hidden = Boolean(record);
    kept.hidden = beside.hidden = !record;
    if (!record) return;
    const words = record.late ? "Having seen the result, you wrote: " : "You predicted: ";
    const answer = () => make("q", {}, field.words(record.answer));
    kept.replaceChildren(words, answer(), " ", again);
    beside.replaceChildren(words, answer());
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const answer = field.value.trim();
    if (answer) {
      const given = { answer, late: results.some((one) => one.open), at: store.now() };
      const history = [...(store.get(path)?.history ?? []), given];
      store.set(path, { ...given, of, history });
      draft.keep("");
    }
    setOpen(true);
    (answer ? kept : results[0].querySelector("summary")).focus();
  });
  again.addEventListener("click", () => {
    field.value = "";
    setOpen(false);
    show(null);
    field.focus();
  });
  store.subscribe((changed) => {
    if (changed === path) show(recorded());
  });
  show(recorded());
  if (recorded()) setOpen(true);
}

/** The folds with the results of a cell and of those directly below it. */
function resultsFrom(cell) {
  const found = [];
  for (let one = cell; one?.matches("div.cell"); one = one.nextElementSibling) {
    found.push(...one.querySelectorAll("details.result"));
  }
  return found;
}

/** What is written but not submitted, for a page that is loaded again. */
function draftOf(path) {
  const key = `nnweek:draft:${path}`;
  const attempt = (action) => {
    try {
      return action() ?? "";
    } catch {
      return ""; // there is no storage
    }
  };
  return {
    read: () => attempt(() => sessionStorage.getItem(key)),
    keep: (text) => attempt(() => (text ? sessionStorage.setItem(key, text) : sessionStorage.removeItem(key))),
  };
}

function line(block, isNumber, draft) {
  const id = `${block.id}-field`;
  const label = make("label", { htmlFor: id }, isNumber ? "Your number" : "Your prediction");
  const input = isNumber
    ? make("input", { id, type: "text", inputMode: "decimal", autocomplete: "off" })
    : make("textarea", { id, rows: 1, autocomplete: "off" });
  input.value = draft.read();
  input.addEventListener("input", () => draft.keep(input.value));
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    input.form.requestSubmit();
  });
  return {
    content: [label, input],
    words: (answer) => answer,
    focus: () => input.focus(),
    get value() {
      return input.value;
    },
    set value(text) {
      input.value = text;
    },
  };
}

function choices(block, options) {
  const inputs = options.map((row) => choice(row, `${block.id}-choice`).input);
  const chosen = () => inputs.find((input) => input.checked);
  return {
    content: [options[0].parentElement],
    words: (letter) => inputs.find((input) => input.value === letter)?.closest("label").textContent.trim() ?? letter,
    focus: () => (chosen() ?? inputs[0]).focus(),
    get value() {
      return chosen()?.value ?? "";
    },
    set value(letter) {
      for (const input of inputs) input.checked = input.value === letter;
    },
  };
}

export function predictions(document, store) {
  const day = dayOf(document.location.pathname);
  if (!day) return;
  for (const [i, block] of [...document.querySelectorAll(".prediction")].entries()) {
    prediction(block, store, `predictions/${day}/${i + 1}`);
  }
}
