// The questions, by kind of item. A form knows its values, its answer (or what is missing), and its keys.

import { element } from "./dom.js";
import { say } from "./words.js";

const LETTERS = "ABCDEF";

export function makeForm(task, session) {
  const form = { feedback, compare, rank, incorporated }[task.kind](task, session);
  const comment = textField("comment", "comment", null, 1);
  form.fields.push(comment.label);
  const inner = form.root ?? element("div", { class: "fields" }, ...form.fields);
  const element_ = element("form", { id: "form", class: task.kind, novalidate: true, autocomplete: "off" }, inner);
  return { ...form, element: element_, values: () => values(element_), fill: (saved) => fill(element_, saved) };
}

function textField(name, label, hint, rows) {
  const field = element("textarea", { name, rows, dir: "auto", "aria-describedby": hint ? `${name}-hint` : null });
  const parts = [element("span", {}, say(label)), hint ? element("small", { id: `${name}-hint` }, say(hint)) : null, field];
  return { field, label: element("label", { class: "field" }, ...parts) };
}

function choice(type, name, value, text, key) {
  const input = element("input", { type, name, value, "aria-keyshortcuts": key });
  return element("label", { class: "choice" }, input, element("span", {}, text), key ? element("kbd", { "aria-hidden": "true" }, key) : null);
}

// Every field by its name; a draft is exactly this.
function values(form) {
  const found = {};
  for (const field of form.elements) {
    if (!field.name) continue;
    if (field.type === "checkbox") found[field.name] = field.checked;
    else if (field.type !== "radio") found[field.name] = field.value;
    else if (field.checked) found[field.name] = field.value;
  }
  return found;
}

function fill(form, saved) {
  for (const field of form.elements) {
    if (!(field.name in saved)) continue;
    if (field.type === "checkbox") field.checked = Boolean(saved[field.name]);
    else if (field.type === "radio") field.checked = field.value === String(saved[field.name]);
    else field.value = saved[field.name] ?? "";
  }
}

function pick(name, value) {
  const field = document.querySelector(`#main [name="${name}"]${value === undefined ? "" : `[value="${value}"]`}`);
  if (!field) return false;
  field.focus();
  if (field.type === "radio" || field.type === "checkbox") field.click();
  return true;
}

function feedback(task, session) {
  const classes = session.classes.map((name) => element("option", { value: name }, name));
  const kind = element("label", { class: "field" }, element("span", {}, say("feedback_class")),
    element("select", { name: "feedback_class" }, element("option", { value: "" }, say("feedback_class_none")), ...classes));
  return {
    question: say("question_feedback"),
    fields: [
      textField("feedback", "feedback", "feedback_hint", 5).label,
      choice("checkbox", "nothing_to_say", "yes", say("nothing_to_say"), "n"),
      session.classes.length ? kind : null,
      textField("ideal_output", "ideal_output", "ideal_output_hint", 3).label,
    ],
    answer(found) {
      const written = found.feedback.trim() !== "";
      if (written === found.nothing_to_say) return { missing: written ? "incomplete_both" : "incomplete_feedback" };
      return { kind: "feedback", feedback: found.feedback, feedback_class: found.feedback_class || null,
        ideal_output: found.ideal_output.trim() ? found.ideal_output : null, nothing_to_say: found.nothing_to_say };
    },
    unpack: (answer) => answer,
    key: (key) => (key === "f" ? pick("feedback") : key === "n" && pick("nothing_to_say")),
    keys: [["f", "key_feedback"], ["n", "key_nothing"]],
  };
}

const PAIRS = { first: { A: 1, B: 2 }, second: { A: 2, B: 1 }, equal: { A: 1, B: 1 } };

function compare() {
  const choices = [["first", say("better", { letter: "A" }), "1"], ["second", say("better", { letter: "B" }), "2"],
    ["equal", say("equal"), "0"], ["bad", say("both_bad"), "x"]];
  const legend = element("legend", {}, say("question_compare"));
  return {
    question: say("question_compare"),
    fields: [element("fieldset", { class: "choices" }, legend, ...choices.map(([value, text, key]) => choice("radio", "choice", value, text, key)))],
    answer(found) {
      if (!found.choice) return { missing: "incomplete_compare" };
      return { kind: "compare", ranks: PAIRS[found.choice] ?? {}, all_bad: found.choice === "bad" };
    },
    unpack: ({ ranks, all_bad }) => ({ choice: all_bad ? "bad" : Object.keys(PAIRS).find((name) => PAIRS[name].A === ranks.A && PAIRS[name].B === ranks.B) }),
    key(key) {
      const found = choices.find((each) => each[2] === key);
      return found ? pick("choice", found[0]) : false;
    },
    keys: [["1 2", "key_better"], ["0", "key_equal"], ["x", "key_bad"]],
  };
}

// Each output has a row of ranks: no dragging, the same by touch, keyboard and screen reader.
function rank(task) {
  const letters = [...LETTERS.slice(0, task.outputs.length)];
  let chosen = "A";
  const choose = (letter) => {
    chosen = letter;
    for (const each of letters) document.getElementById(`rank-${each}`)?.classList.toggle("chosen", each === letter);
  };
  const rows = letters.map((letter) => element("fieldset", { class: "ranks", id: `rank-${letter}` },
    element("legend", {}, say("rank_of", { letter })), ...letters.map((_, index) => choice("radio", `rank_${letter}`, index + 1, String(index + 1)))));
  return {
    question: say("question_rank"),
    rows: Object.fromEntries(letters.map((letter, index) => [letter, rows[index]])),
    fields: [choice("checkbox", "all_bad", "yes", say("all_bad"), "x")],
    start: () => choose("A"),
    answer(found) {
      const ranks = Object.fromEntries(letters.filter((letter) => found[`rank_${letter}`]).map((letter) => [letter, Number(found[`rank_${letter}`])]));
      const whole = Object.keys(ranks).length === letters.length;
      if (!whole && !found.all_bad) return { missing: "incomplete_rank" };
      return { kind: "rank", ranks: whole ? ranks : {}, all_bad: found.all_bad };
    },
    unpack: ({ ranks, all_bad }) => ({ all_bad, ...Object.fromEntries(Object.entries(ranks).map(([letter, place]) => [`rank_${letter}`, place])) }),
    key(key) {
      if (key === "x") return pick("all_bad");
      if (letters.includes(key.toUpperCase())) {
        choose(key.toUpperCase());
        document.querySelector(`#rank-${chosen}`).scrollIntoView({ block: "nearest" });
        return document.querySelector(`#rank-${chosen} input`).focus() ?? true;
      }
      if (!/^[1-6]$/.test(key) || Number(key) > letters.length) return false;
      pick(`rank_${chosen}`, key);
      choose(letters[Math.min(letters.indexOf(chosen) + 1, letters.length - 1)]);
      return true;
    },
    keys: [[`a – ${letters.at(-1).toLowerCase()}`, "key_candidate"], [`1 – ${letters.length}`, "key_rank"], ["x", "key_bad"]],
  };
}

function incorporated() {
  const choices = [choice("radio", "incorporated", "yes", say("answer_yes"), "y"), choice("radio", "incorporated", "no", say("answer_no"), "n")];
  return {
    question: say("question_incorporated"),
    fields: [element("fieldset", { class: "choices" }, element("legend", {}, say("question_incorporated")), ...choices)],
    answer: (found) => (found.incorporated ? { kind: "incorporated", incorporated: found.incorporated === "yes" } : { missing: "incomplete_incorporated" }),
    unpack: (answer) => ({ incorporated: answer.incorporated ? "yes" : "no" }),
    key: (key) => (key === "y" || key === "j" ? pick("incorporated", "yes") : key === "n" && pick("incorporated", "no")),
    keys: [["y n", "key_yes_no"]],
  };
}
