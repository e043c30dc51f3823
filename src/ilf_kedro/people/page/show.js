// What is to be read: inputs, outputs, changes, other people's answers.

import { element } from "./dom.js";
import { say } from "./words.js";

export function showPassage(passage, title) {
  const heading = title ? element("h3", {}, title) : null;
  const results = passage.results === null ? null : element("details", { open: true, class: "results" },
    element("summary", {}, say("tests")), element("pre", { dir: "ltr", tabindex: "0" }, passage.results));
  return element("section", { class: "passage" }, heading, body(passage), results);
}

function body(passage) {
  if (passage.kind === "messages") {
    return element("ol", { class: "chat" }, ...passage.messages.map((turn) =>
      element("li", { class: `turn ${turn.role === "user" ? "user" : "other"}` },
        element("strong", {}, turn.role), element("div", { class: "text", dir: "auto" }, turn.content))));
  }
  const runs = passage.runs.map(([name, text]) => (name ? element("span", { class: `code-${name}` }, text) : text));
  return passage.kind === "code"
    ? element("pre", { class: "text", dir: "ltr", tabindex: "0" }, element("code", {}, ...runs))
    : element("div", { class: "text", dir: "auto" }, ...runs);
}

export function showChanges(runs, isCode) {
  const tags = { same: "span", removed: "del", added: "ins" };
  return element("div", { class: `text changes${isCode ? " code" : ""}`, dir: isCode ? "ltr" : "auto", "aria-label": say("diff_of"), role: "group" },
    ...runs.map(([kind, text]) => element(tags[kind], {}, text)));
}

export function showOpinions(opinions) {
  const lines = opinions.map((answer, index) => element("li", {},
    element("strong", {}, say("opinion", { number: index + 1 })), " ", element("span", { dir: "auto" }, opinionText(answer))));
  return element("section", { class: "opinions" }, element("h3", {}, say("opinions")), element("ol", {}, ...lines));
}

function opinionText(answer) {
  if (answer.kind === "feedback") return answer.nothing_to_say ? say("nothing_to_say") : answer.feedback;
  if (answer.kind === "incorporated") return say(answer.incorporated ? "answer_yes" : "answer_no");
  const ranks = Object.entries(answer.ranks).sort().map(([letter, rank]) => `${letter}: ${rank}`).join(", ");
  return [ranks, answer.all_bad ? say("all_bad") : ""].filter(Boolean).join("; ");
}
