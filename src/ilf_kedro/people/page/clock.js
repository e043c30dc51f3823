// How long a task has been open, and how much of that someone was at work on it. Only the monotonic clock is read.

const SIGNS = ["keydown", "input", "pointerdown", "pointermove", "wheel", "scroll", "touchmove", "focusin"];
const SEND_EVERY_MS = 15000;

export class Clock {
  constructor(idleMs, send) {
    this.page = Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16)).join("");
    this.idleMs = idleMs;
    this.started = this.last = performance.now();
    this.active = 0;
    this.visible = !document.hidden;
    this.stopping = new AbortController();
    const options = { capture: true, passive: true, signal: this.stopping.signal };
    for (const sign of SIGNS) addEventListener(sign, () => this.#work(), options);
    document.addEventListener("visibilitychange", () => this.#turn(send), options);
    addEventListener("pagehide", () => send(this.read(), { keepalive: true }), options);
    this.timer = setInterval(() => send(this.read()), SEND_EVERY_MS);
  }

  read() {
    this.#count();
    const open = Math.round(performance.now() - this.started);
    return { page: this.page, active_ms: Math.min(Math.round(this.active + this.running), open), open_ms: open };
  }

  stop() {
    clearInterval(this.timer);
    this.stopping.abort();
  }

  // Time since the last sign of work, up to the cap, and none while the page is hidden.
  #count() {
    this.running = this.visible ? Math.min(performance.now() - this.last, this.idleMs) : 0;
  }

  #work() {
    this.#count();
    this.active += this.running;
    this.last = performance.now();
  }

  #turn(send) {
    this.#work();
    this.visible = !document.hidden;
    if (document.hidden) send(this.read(), { keepalive: true });
  }
}
