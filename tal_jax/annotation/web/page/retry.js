/** Trying again, later and later, while the server is away. */

const FIRST = 1000; // milliseconds
const LONGEST = 30000;

/**
 * @param {number} attempt 0, 1, ... failures before this one
 * @param {number} random in [0, 1): keeps many pages from coming back at the same instant
 * @returns {number} milliseconds to wait, half to all of min(30 s, 2^attempt s)
 */
export const delay = (attempt, random) =>
  Math.min(LONGEST, FIRST * 2 ** Math.min(attempt, 16)) * (0.5 + random / 2);

/**
 * Repeats an action until it succeeds or fails for good (an error without `retryable`).
 * @template T
 * @param {() => Promise<T>} action
 * @param {(milliseconds: number, error: Error) => Promise<void>} wait resolves when it is time
 * @returns {Promise<T>}
 */
export async function persist(action, wait, random = Math.random) {
  for (let attempt = 0; ; attempt++) {
    try {
      return await action();
    } catch (error) {
      if (!error.retryable) throw error;
      await wait(delay(attempt, random()), error);
    }
  }
}

/** Waits, but no longer than until the browser says that the network is back. */
export const untilOnline = (milliseconds) =>
  new Promise((resolve) => {
    const timer = setTimeout(done, milliseconds);
    function done() {
      clearTimeout(timer);
      globalThis.removeEventListener?.('online', done);
      resolve();
    }
    globalThis.addEventListener?.('online', done);
  });
