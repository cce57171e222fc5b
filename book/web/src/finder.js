// Finds sections of the book by words: best first, without knowing of the page that shows them.
import MiniSearch from "minisearch";

const WORD = /\d+(?:[.,]\d+)+|[\p{L}\p{N}_]+/gu; // a number with its point is one word
const UNIMPORTANT = new Set(
  ("a am an and are as at be but by can do does doing for from get gets got has have how i if in into is it its me " +
    "my of on or so than that the then there this to too was what when where which why with").split(" "),
);

/** The form under which a word is found: lower case, without the commonest endings; null for no word. */
export function stem(word) {
  const small = word.toLowerCase();
  return UNIMPORTANT.has(small) ? null : small.replace(/(?<=^[a-z]{3,})(?:ing|es|ed|e|s)$/, "");
}

/** Return a function from a query to its sections, best first: {section, words: stems to mark}. */
export function finder(sections) {
  const index = new MiniSearch({
    fields: ["title", "page", "text", "code"],
    tokenize: (text) => text.match(WORD) ?? [],
    processTerm: stem,
  });
  index.addAll(sections.map((section, id) => ({ id, ...section })));
  const options = {
    boost: { title: 8 },
    prefix: (word) => word.length > 3,
    fuzzy: (word) => (word.length > 5 && !/\d/.test(word) ? 0.15 : false),
    boostDocument: (id) => sections[id].weight,
  };
  return (query) =>
    index.search(query, options).map(({ id, terms }) => ({ section: sections[id], words: new Set(terms) }));
}

/** Return the part of a text with most of the words, as [piece, whether it is such a word] pairs. */
export function excerpt(text, words, length = 30) {
  const tokens = [...text.matchAll(/\S+/g)];
  const isFound = tokens.map(([token]) => (token.match(WORD) ?? []).some((word) => words.has(stem(word))));
  let best = 0;
  for (let start = 0, count = 0, most = 0; start < tokens.length; start++) {
    count += isFound[start] - (isFound[start - length] ?? 0);
    if (count > most) [most, best] = [count, Math.max(0, start - length + 1)];
  }
  const first = Math.max(0, isFound.indexOf(true, best) - 6);
  return tokens.slice(first, first + length).map(([token], i) => [token, isFound[first + i]]);
}
