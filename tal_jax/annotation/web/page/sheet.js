/**
 * The answers in the making to all classes of a video, one `Marks` a class. A sheet is never
 * changed, only replaced.
 *
 * @typedef {import('./marks.js').Marks[]} Sheet
 */

import * as marking from './marks.js';

/** @returns {Sheet} with other marks of one class; the same sheet if they are the same */
export const replace = (sheet, lane, marks) =>
  marks === sheet[lane] ? sheet : sheet.map((old, i) => (i === lane ? marks : old));

/**
 * All segments in the order of time.
 * @param {Sheet} sheet
 * @returns {{id: string, lane: number, number: number, segment: import('./segments.js').Segment,
 *   start: number, end: number}[]} number: of the segment in its class, from 1; id: of both
 */
export const spread = (sheet) =>
  sheet
    .flatMap(({segments}, lane) =>
      segments.map((segment, i) => ({
        id: idOf(lane, segment.id),
        lane,
        number: i + 1,
        segment,
        start: segment.start,
        end: segment.end,
      })),
    )
    .sort((p, q) => p.start - q.start || p.end - q.end || p.lane - q.lane);

/** @returns {string} of a segment among those of all classes */
export const idOf = (lane, id) => `${lane}.${id}`;

/** @returns {number} the first class whose marks differ; -1 if none do */
export const changed = (before, after) => after.findIndex((marks, i) => marks !== before[i]);

/** @returns {number} the first class that has no answer yet; -1 if all have one */
export const firstMissing = (sheet) => sheet.findIndex((marks) => marking.obstacle(marks) !== '');

/**
 * @param {Sheet} sheet
 * @param {string[]} labels of its classes
 * @returns {string} what is missing before the answers can be sent; empty if nothing is
 */
export function obstacle(sheet, labels) {
  if (sheet.length === 1) return marking.obstacle(sheet[0]);
  const named = (wanted) => labels.filter((_, i) => wanted(sheet[i])).join(', ');
  const pending = named((marks) => marks.pending !== null);
  const missing = named(
    ({segments, absent, pending: begun}) => begun === null && !segments.length && !absent,
  );
  return [
    pending && `Mark the end (O) of ${pending}, or cancel the start (Esc).`,
    missing && `No answer yet: ${missing}.`,
  ]
    .filter(Boolean)
    .join(' ');
}
