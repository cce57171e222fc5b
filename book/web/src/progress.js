// One quiet line per day about what is done, once something was tried.
import { dayOf, make } from "./dom.js";

/** Count what is done of a day: {exercises: [done, all], questions: [done, all], tried}. */
export function count(store, { day, exercises, questions }) {
  const tried = exercises.map((name) => store.get(`exercises/${name}`)).filter((record) => record?.tried);
  const passed = tried.filter((record) => record.passed_at || record.verdict === "passed");
  const numbers = Array.from({ length: questions }, (_, i) => i + 1);
  const answered = numbers.map((number) => store.get(`questions/${day}/${number}`)).filter(Boolean);
  return {
    exercises: [passed.length, exercises.length],
    questions: [answered.filter((record) => record.right).length, questions],
    tried: tried.length + answered.length > 0 || store.entries(`predictions/${day}`).length > 0,
  };
}

/** "4 of 9 exercises, 5 of 7 questions"; nothing before something was tried. */
export function sentence(counted) {
  if (!counted.tried) return "";
  return ["exercises", "questions"]
    .filter((kind) => counted[kind][1])
    .map((kind) => `${counted[kind].join(" of ")} ${counted[kind][1] === 1 ? kind.slice(0, -1) : kind}`)
    .join(", ");
}

export const NOT_KEPT = "This browser does not keep your answers: they are lost when you close the page.";

export function progress(document, store) {
  const lines = [...document.querySelectorAll(".day[data-day]")].map((card) => ({
    line: card.querySelector(".day-text").appendChild(make("p", { className: "progress-line", hidden: true })),
    facts: {
      day: card.dataset.day,
      exercises: card.dataset.exercises.split(" ").filter(Boolean),
      questions: Number(card.dataset.questions),
    },
  }));
  const day = dayOf(document.location.pathname);
  const place = document.querySelector("article .facts");
  if (day && place) {
    const line = make("p", { className: "progress-line", hidden: true });
    place.after(line);
    const exercises = [...document.querySelectorAll(".exercise")].map((card) => card.dataset.exercise);
    const questions = document.querySelectorAll("article .question").length;
    lines.push({ line, facts: { day, exercises, questions }, full: true });
  }
  const refresh = () => {
    for (const { line, facts, full } of lines) {
      const words = sentence(count(store, facts));
      line.hidden = !words;
      line.textContent = full ? `So far: ${words}. ${store.lasting ? "" : NOT_KEPT}`.trim() : words;
    }
  };
  store.subscribe(refresh);
  refresh();
}
