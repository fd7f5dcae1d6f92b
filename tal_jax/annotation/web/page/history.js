/**
 * Undo and redo over values that are never changed.
 *
 * @template T
 * @typedef {{past: T[], present: T, future: T[], key: string}} History
 */

const DEEPEST = 500;

/** @returns {History<T>} @template T @param {T} present */
export const start = (present) => ({past: [], present, future: [], key: ''});

/**
 * A new present. Edits in a row with the same key (a drag, a key held down) are one step.
 * @param {string} key empty: always a step of its own
 */
export function record(history, present, key = '') {
  if (present === history.present) return history;
  const past =
    key && key === history.key ? history.past : [...history.past, history.present].slice(-DEEPEST);
  return {past, present, future: [], key};
}

/** The next edit is a step of its own, whatever its key. */
export const seal = (history) => (history.key ? {...history, key: ''} : history);

export function undo(history) {
  if (!history.past.length) return history;
  return {
    past: history.past.slice(0, -1),
    present: history.past.at(-1),
    future: [history.present, ...history.future],
    key: '',
  };
}

export function redo(history) {
  if (!history.future.length) return history;
  return {
    past: [...history.past, history.present],
    present: history.future[0],
    future: history.future.slice(1),
    key: '',
  };
}
