// The page's words in the annotator's language.

let words = {};

export function setWords(language, text) {
  words = text;
  document.documentElement.lang = language;
  document.documentElement.dir = text.direction;
  for (const element of document.querySelectorAll("[data-word]")) element.textContent = say(element.dataset.word);
}

export function say(key, values = {}) {
  return (words[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}
