/**
 * A draft: all that a reload must bring back, as the text that the server keeps.
 *
 * @typedef {object} Marked  of one class
 * @property {[number, number][]} segments  boundaries
 * @property {number | null} pending
 * @property {boolean} absent
 *
 * @typedef {object} Draft  older versions had no `lanes`, and were themselves the one `Marked`
 * @property {Record<string, Marked>} lanes  by the task of the class
 * @property {number} active  index of the class that new marks were of
 * @property {string} comment
 * @property {number} frame  where the annotator was
 * @property {string} submissionId  made once a task, so that a repeated submission is known as one
 * @property {string} page  which page wrote it (two windows on one task can tell)
 *
 * @typedef {{revision: number, body: string}} Saved
 */

const FORMAT = 1;

/** @returns {string} 128 random bits; works without https, where crypto.randomUUID is missing */
export const randomId = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, '0'),
  ).join('');

/** @param {Draft} draft @returns {string} */
export const encode = (draft) => JSON.stringify({format: FORMAT, ...draft});

/**
 * @param {string} text from the server or this browser's storage: anything may be in it
 * @param {number} count frames of the clip
 * @returns {Draft | null} null if it is no draft of such a clip
 */
export function decode(text, count) {
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (value === null || typeof value !== 'object' || value.format !== FORMAT) return null;
  const whole = (n, low, high) => Number.isInteger(n) && n >= low && n <= high;
  const good = ({segments, pending, absent}) =>
    Array.isArray(segments) &&
    typeof absent === 'boolean' &&
    segments.every(
      (s) =>
        Array.isArray(s) &&
        s.length === 2 &&
        whole(s[0], 0, count - 1) &&
        whole(s[1], s[0] + 1, count),
    ) &&
    (pending === null || whole(pending, 0, count - 1));
  const {format, lanes, active, ...rest} = value;
  const {comment, frame, submissionId, page, segments, pending, absent} = rest;
  const common =
    whole(frame, 0, count - 1) &&
    [comment, submissionId, page].every((t) => typeof t === 'string') &&
    submissionId.length >= 1 &&
    submissionId.length <= 64;
  if (!common) return null;
  const shared = {comment, frame, submissionId, page};
  if (lanes === undefined) {
    return good(rest) ? {segments, pending, absent, ...shared} : null;
  }
  const all = lanes !== null && typeof lanes === 'object' ? Object.entries(lanes) : [];
  if (!all.length || !whole(active, 0, Infinity)) return null;
  if (!all.every(([, marked]) => marked !== null && typeof marked === 'object' && good(marked)))
    return null;
  const kept = all.map(([id, marked]) => [
    id,
    {segments: marked.segments, pending: marked.pending, absent: marked.absent},
  ]);
  return {lanes: Object.fromEntries(kept), active, ...shared};
}

/** @returns {Marked | undefined} what a draft has of a task's class */
export const markedOf = (draft, task) => (draft?.lanes ? draft.lanes[task] : (draft ?? undefined));

/**
 * Which of two copies to go on from: the later one, the server's where they are level.
 * @param {Saved | null} server @param {Saved | null} local what could not be sent before a reload
 * @returns {Saved | null}
 */
export const newest = (server, local) =>
  local && (!server || local.revision > server.revision) ? local : server;
