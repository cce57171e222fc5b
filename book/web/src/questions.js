// Questions: choose one option, then see the reasons of all of them; only missed ones come again.
import { choice, dayOf, fingerprint, make } from "./dom.js";

/**
 * Make a card `.question` answerable.
 *
 * The reasons move from the fold below the options, where they are without JavaScript, to their
 * options. `path` is where the store keeps the answer.
 */
export function question(card, store, path) {
  const options = [...card.querySelectorAll(".options > li")];
  const text = [card.querySelector("p"), ...options].map((one) => one.textContent).join(" ");
  const of = fingerprint(text);
  const right = card.dataset.answer;
  const name = `${card.id}-choice`;

  const rows = options.map((row) => {
    const { letter, input, label } = choice(row, name);
    const mark = label.appendChild(make("span", { className: "outcome-mark" }));
    const reason = make("div", { className: "reason", hidden: true, "data-option": letter });
    reason.append(...card.querySelector(`.reasons > [data-option="${letter}"]`).childNodes);
    row.append(reason);
    return { row, letter, input, mark, reason };
  });
  card.querySelector(".answer").remove();
  const check = make("button", { type: "submit", className: "task-button" }, "Check");
  const outcome = make("p", { className: "outcome", tabIndex: -1, hidden: true });
  const form = make("form", { noValidate: true });
  card.querySelector(".options").before(form);
  form.append(card.querySelector(".options"), check, outcome);
  card.classList.add("live");

  function show(chosen) {
    const answered = Boolean(chosen);
    card.classList.toggle("answered", answered);
    for (const { row, letter, input, mark, reason } of rows) {
      input.checked = letter === chosen;
      input.disabled = answered;
      reason.hidden = !answered;
      row.classList.toggle("right", answered && letter === right);
      row.classList.toggle("missed", answered && letter === chosen && letter !== right);
      const yours = letter === chosen;
      mark.textContent = "";
      if (answered && letter === right) mark.textContent = yours ? "✓ right, your answer" : "✓ right";
      else if (yours) mark.textContent = "✗ your answer";
    }
    check.hidden = answered;
    outcome.hidden = !answered;
    outcome.textContent =
      chosen === right ? `Right: ${right}.` : `Not right. You chose ${chosen}; the answer is ${right}.`;
  }

  const recorded = () => {
    const record = store.get(path);
    return record?.of === of && rows.some((row) => row.letter === record.choice) ? record : null;
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const chosen = rows.find((row) => row.input.checked)?.letter;
    if (!chosen) {
      rows[0].input.focus();
      return;
    }
    const answer = { choice: chosen, right: chosen === right, at: store.now() };
    const history = [...(store.get(path)?.history ?? []), answer];
    store.set(path, { ...answer, of, history });
    outcome.focus();
  });

  const refresh = () => show(recorded()?.choice);
  store.subscribe((changed) => {
    if (changed === path) refresh();
  });
  refresh();
  return {
    isMissed: () => card.classList.contains("answered") && recorded()?.right === false,
    askAgain() {
      show(null);
      return rows[0].input;
    },
  };
}

/** Make the questions of a day answerable, and offer to ask the missed ones again. */
export function questions(document, store) {
  const day = dayOf(document.location.pathname);
  const cards = [...document.querySelectorAll(".question")];
  if (!day || !cards.length) return;
  const all = cards.map((card, i) => question(card, store, `questions/${day}/${i + 1}`));
  const again = make("button", { type: "button", className: "task-button", hidden: true });
  cards.at(-1).after(again);

  const refresh = () => {
    const missed = all.filter((one) => one.isMissed());
    again.hidden = !missed.length;
    again.textContent = missed.length > 1 ? `Ask the ${missed.length} missed ones again` : "Ask the missed one again";
  };
  again.addEventListener("click", () => {
    const [first] = all.filter((one) => one.isMissed()).map((one) => one.askAgain());
    refresh();
    first.focus();
  });
  store.subscribe(refresh);
  refresh();
}
