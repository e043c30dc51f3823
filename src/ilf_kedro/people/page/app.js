// The page: one task at a time, its form, its clock, its drafts. What counts is on the server; this only shows it.

import { Clock } from "./clock.js";
import { $, announce, element, isTextField, warn } from "./dom.js";
import { Drafts } from "./drafts.js";
import { makeForm } from "./forms.js";
import { ask, askUntilHeard, isLost, sendUnsent } from "./server.js";
import { showChanges, showOpinions, showPassage } from "./show.js";
import { say, setWords } from "./words.js";

let session = null;
let current = null; // {task, form, clock, drafts, busy}

async function start() {
  try {
    await loadSession();
    await sendUnsent();
    if (!session.instructions.acknowledged) await readInstructions(true);
    await next();
  } catch (error) {
    fail(error);
  }
}

async function loadSession() {
  session = await ask("session");
  setWords(session.language, session.words);
  document.title = $("campaign").textContent = session.campaign;
  $("menu").hidden = false;
  $("language").replaceChildren(...Object.entries(session.languages).map(([value, text]) =>
    element("option", { value, lang: value, selected: value === session.language }, text)));
  const theme = localStorage.getItem("theme") ?? "auto";
  $("theme").replaceChildren(...["auto", "light", "dark"].map((value) =>
    element("option", { value, selected: value === theme }, say(`theme_${value}`))));
  $("instructions-text").textContent = session.instructions.text;
}

async function next() {
  leave();
  const reply = await ask("next", {});
  if (reply.read_first) {
    await loadSession();
    await readInstructions(true);
    return next();
  }
  showProgress(reply.progress);
  return reply.task ? show(reply.task) : finish();
}

function leave() {
  current?.drafts.send();
  current?.clock.stop();
  current = null;
}

function finish() {
  $("main").replaceChildren(element("div", { class: "finished" }, element("h2", { tabindex: "-1" }, say("finished")),
    element("p", {}, say("finished_hint")), undoButton()));
  $("main").querySelector("h2").focus();
}

function show(task) {
  const form = makeForm(task, session);
  const clock = new Clock(session.idle_ms, (time, options) => ask("time", { task: task.task, ...time }, options).catch(() => {}));
  const drafts = new Drafts(task);
  current = { task, form, clock, drafts };
  const heading = element("h2", { id: "question", tabindex: "-1", dir: "auto" }, form.question);
  const inputs = [
    ...task.inputs.map((passage) => showPassage(passage, passage.label || say("input"))),
    task.initial_output && showPassage(task.initial_output, say("initial_output")),
    task.feedback && showPassage({ kind: "text", runs: [["", task.feedback]], results: null }, say("feedback_given")),
    task.opinions.length ? showOpinions(task.opinions) : null,
  ].filter(Boolean);
  const outputs = task.outputs.map((passage, index) => showOutput(task, form, passage, index));
  form.element.append(buttons(task));
  $("main").replaceChildren(heading, element("div", { class: `task ${task.kind}` },
    element("section", { class: "inputs", "aria-label": say("inputs") }, ...inputs),
    element("section", { class: `outputs n${outputs.length}`, "aria-label": say("outputs") }, ...outputs), form.element));
  if (form.rows) outputs.forEach((output, index) => output.append(form.rows["ABCDEF"[index]]));
  for (const field of $("main").querySelectorAll(".outputs input")) field.setAttribute("form", "form");
  if (task.answer) form.fill({ ...form.unpack(task.answer), comment: task.comment });
  if (drafts.newest) form.fill(drafts.newest.body);
  form.start?.();
  watch(form.element);
  showKeys(form.keys);
  heading.focus({ preventScroll: true });
  scrollTo(0, 0);
}

function showOutput(task, form, passage, index) {
  const letter = "ABCDEF"[index];
  const title = task.kind === "incorporated" ? say("refinement") : task.outputs.length === 1 ? say("output") : say("output_letter", { letter });
  return element("article", { class: "output", "data-letter": letter }, showPassage(passage, title));
}

function undoButton() {
  const undo = element("button", { type: "button", id: "undo", "aria-keyshortcuts": "u" }, say("undo"), element("kbd", { "aria-hidden": "true" }, "u"));
  undo.addEventListener("click", back);
  return undo;
}

function buttons(task) {
  const submit = element("button", { type: "submit", class: "main", "aria-keyshortcuts": "Control+Enter" },
    say(task.revision ? "revise" : "submit"), element("kbd", { "aria-hidden": "true" }, "Ctrl ⏎"));
  const skip = element("button", { type: "button", "aria-keyshortcuts": "s" }, say("skip"), element("kbd", { "aria-hidden": "true" }, "s"));
  skip.addEventListener("click", () => open("skip"));
  const diff = element("button", { type: "button", id: "diff", "aria-pressed": "false", "aria-keyshortcuts": "d" }, say("diff"), element("kbd", { "aria-hidden": "true" }, "d"));
  diff.addEventListener("click", () => toggleChanges(diff).catch(fail));
  return element("p", { class: "buttons" }, submit, task.initial_output ? diff : null, skip, undoButton());
}

function watch(form) {
  const before = new WeakMap();
  const { drafts, form: ours } = current;
  const kept = () => drafts.keep(ours.values());
  for (const field of form.elements) before.set(field, field.value);
  form.addEventListener("input", (event) => {
    const { target } = event;
    if (isTextField(target) && target.value.length > session.max_characters) {
      warn(say("too_long", { found: target.value.length, limit: session.max_characters }));
      target.value = before.get(target);
      return;
    }
    warn("");
    before.set(target, target.value);
    kept();
  });
  // Ranks stand beside the outputs, outside the form's own element.
  for (const field of document.querySelectorAll('.outputs [form="form"]')) field.addEventListener("input", kept);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit().catch(fail);
  });
}

async function submit() {
  if (!current || current.busy) return;
  const { task, form, clock, drafts } = current;
  const found = form.values();
  const answer = form.answer(found);
  if (answer.missing) return warn(say(answer.missing));
  await handIn("submit", { task: task.task, revision: task.revision, answer, comment: found.comment, ...clock.read() }, drafts);
}

async function handIn(path, message, drafts) {
  const here = current;
  here.busy = true;
  warn("");
  announce(say("saving"));
  try {
    let lost = false;
    const reply = await askUntilHeard(path, message, () => { lost = true; warn(say("not_saved")); });
    drafts.close();
    if (current !== here) return;
    await next();
    warn("");
    announce([lost ? say("reconnected") : "", say(reply.repeated ? "saved_again" : "saved")].join(" ").trim());
  } finally {
    here.busy = false;
  }
}

async function back() {
  try {
    const { tasks } = await ask("history");
    const last = tasks.find((entry) => entry.task !== current?.task.task);
    if (last) await reopen(last.task);
    else announce(say("history_empty"));
  } catch (error) {
    fail(error);
  }
}

async function reopen(id) {
  leave();
  const reply = await ask(`task/${id}`);
  showProgress(reply.progress);
  show(reply.task);
}

async function toggleChanges(button) {
  const on = button.getAttribute("aria-pressed") === "false";
  for (const shown of document.querySelectorAll(".changes")) shown.remove();
  for (const text of document.querySelectorAll(".output .passage > .text, .output .passage > .chat")) text.hidden = on;
  button.setAttribute("aria-pressed", String(on));
  if (!on) return;
  const { task } = current;
  const { outputs } = await ask(`task/${task.task}/changes`);
  document.querySelectorAll(".output .passage").forEach((passage, index) =>
    passage.querySelector(".text, .chat").after(showChanges(outputs[index], task.outputs[index].kind === "code")));
}

function showProgress(progress) {
  $("progress").hidden = false;
  $("counts").textContent = say(progress.skipped ? "progress_skipped" : "progress", progress);
  $("bar").max = Math.max(1, progress.done + progress.skipped + progress.left);
  $("bar").value = progress.done + progress.skipped;
}

function showKeys(keys) {
  const all = [["Ctrl Enter", "key_submit"], ["Esc", "key_leave"], ...keys, ...(current.task.initial_output ? [["d", "key_diff"]] : []), ["s", "key_skip"],
    ["u", "key_undo"], ["i", "key_instructions"], ["h", "key_history"], ["?", "key_help"]];
  $("help-keys").replaceChildren(...all.map(([key, word]) => element("tr", {}, element("th", { scope: "row" }, element("kbd", {}, key)), element("td", {}, say(word)))));
}

function open(id) {
  if (id === "history") showHistory().catch(fail);
  if (id === "instructions") readInstructions(false);
  else if (!$(id).open && (id !== "skip" || current)) $(id).showModal();
}

function readInstructions(first) {
  const dialog = $("instructions");
  $("instructions-new").hidden = !first;
  $("instructions-close").textContent = say(first ? "instructions_read" : "close");
  if (!dialog.open) dialog.showModal();
  return new Promise((done) => dialog.addEventListener("close", async () => {
    if (!first) return done();
    await ask("acknowledge", { version: session.instructions.version }).catch(fail);
    done();
  }, { once: true }));
}

async function showHistory() {
  const { tasks } = await ask("history");
  $("history-hint").textContent = say(tasks.length ? "history_hint" : "history_empty");
  $("history-list").replaceChildren(...tasks.map(({ task, state, at }) => {
    const entry = element("button", { type: "button" }, `${new Date(at).toLocaleString(session.language)} · ${say(`state_${state}`)}`);
    entry.addEventListener("click", () => { $("history").close(); reopen(task).catch(fail); });
    return element("li", {}, entry);
  }));
}

function fail(error) {
  if (error.status === 401) {
    leave();
    setWords(session?.language ?? "en", session?.words ?? { direction: "ltr", no_access: "This link has ended or was never valid. Ask for a new one." });
    $("main").replaceChildren(element("p", { class: "finished" }, say("no_access")));
  } else if (isLost(error)) warn(say("not_saved"));
  else warn(say("failed", { message: error.message }));
}

function onKey(event) {
  // Enter that ends a composition (Japanese, Chinese, …) belongs to the text.
  if (event.isComposing || event.keyCode === 229) return;
  const inDialog = document.querySelector("dialog[open]");
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    if (!inDialog) submit().catch(fail);
    else if (inDialog.id === "skip") sendSkip().catch(fail);
    return;
  }
  if (event.key === "Escape" && isTextField(event.target) && !inDialog) return event.target.blur();
  if (inDialog || event.ctrlKey || event.metaKey || event.altKey || isTextField(event.target)) return;
  const always = { i: () => open("instructions"), h: () => open("history"), "?": () => open("help"), s: () => open("skip"), u: back, d: () => $("diff")?.click() };
  if (current?.form.key(event.key) || (always[event.key] && (always[event.key](), true))) event.preventDefault();
}

async function sendSkip() {
  const reason = $("skip-reason").value;
  if (!reason.trim()) return warn(say("incomplete_reason"));
  $("skip").close();
  $("skip-reason").value = "";
  const { task, clock, drafts } = current;
  await handIn("skip", { task: task.task, revision: task.revision, reason, ...clock.read() }, drafts);
}

addEventListener("keydown", onKey);
addEventListener("pagehide", () => current?.drafts.send({ keepalive: true }));
for (const button of document.querySelectorAll("[data-open]")) button.addEventListener("click", () => open(button.dataset.open));
$("skip-form").addEventListener("submit", (event) => { event.preventDefault(); sendSkip().catch(fail); });
$("skip-cancel").addEventListener("click", () => $("skip").close());
$("theme").addEventListener("change", ({ target }) => { localStorage.setItem("theme", target.value); document.documentElement.dataset.theme = target.value; });
$("language").addEventListener("change", async ({ target }) => {
  await ask("language", { language: target.value }).catch(fail);
  await current?.drafts.send();
  location.reload();
});
document.documentElement.dataset.theme = localStorage.getItem("theme") ?? "auto";
start();
