// Drafts: kept on this device at the keystroke, and on the server a moment later, always for the task they were typed in.

import { announce } from "./dom.js";
import { ask } from "./server.js";
import { say } from "./words.js";

const DELAY_MS = 500;

export class Drafts {
  constructor(task) {
    this.task = task.task;
    this.revision = task.revision;
    this.key = `draft:${task.task}:${task.revision}`;
    const local = JSON.parse(localStorage.getItem(this.key) ?? "null");
    this.newest = [task.draft && { ...task.draft, body: JSON.parse(task.draft.body) }, local]
      .filter(Boolean).sort((a, b) => b.sequence - a.sequence)[0];
    this.sequence = this.newest?.sequence ?? 0;
  }

  keep(body) {
    this.waiting = { task: this.task, revision: this.revision, sequence: ++this.sequence, body };
    localStorage.setItem(this.key, JSON.stringify({ body, sequence: this.sequence }));
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.send(), DELAY_MS);
  }

  async send(options) {
    clearTimeout(this.timer);
    const message = this.waiting;
    this.waiting = null;
    if (!message || this.closed) return;
    try {
      if ((await ask("draft", message, options)).saved && !this.closed) announce(say("draft_saved"));
    } catch { // it stays on this device, and goes out with the next keystroke
      this.waiting ??= message;
    }
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    localStorage.removeItem(this.key);
  }
}
