// Requests. A message that did not get through is kept on this device and sent again until the server has it.

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export async function ask(path, message, options = {}) {
  const post = message !== undefined;
  const response = await fetch(`/api/${path}`, {
    method: post ? "POST" : "GET",
    headers: post ? { "Content-Type": "application/json", "X-Annotation": "1" } : {},
    body: post ? JSON.stringify(message) : undefined,
    ...options,
  });
  const reply = await response.json();
  if (!response.ok) throw new Refused(response.status, reply.error);
  return reply;
}

// Whether it was the way there that failed, and not the message.
export const isLost = (error) => !(error instanceof Refused) || error.status >= 500;

const pause = (ms) => new Promise((done) => {
  const timer = setTimeout(done, ms);
  addEventListener("online", () => { clearTimeout(timer); done(); }, { once: true });
});

export async function askUntilHeard(path, message, whenLost) {
  const key = `unsent:${path}:${message.task}`;
  localStorage.setItem(key, JSON.stringify(message));
  for (;;) {
    try {
      const reply = await ask(path, message);
      localStorage.removeItem(key);
      return reply;
    } catch (error) {
      if (!isLost(error)) {
        localStorage.removeItem(key);
        throw error;
      }
      whenLost();
      await pause(2000);
    }
  }
}

// What an earlier opening of the page could not send any more. It is the same revision: sent twice it counts once.
export async function sendUnsent() {
  for (const key of Object.keys(localStorage).filter((name) => name.startsWith("unsent:"))) {
    try {
      await ask(key.split(":")[1], JSON.parse(localStorage.getItem(key)));
    } catch (error) {
      if (isLost(error)) return;
    }
    localStorage.removeItem(key);
  }
}
