/**
 * The answer in the making: what undo and redo go back and forth between.
 *
 * @typedef {object} Marks
 * @property {import('./segments.js').Segment[]} segments
 * @property {number | null} pending  the frame at which a segment was begun that has no end yet
 * @property {boolean} absent  "the action is not here"
 * @property {number} nextId  of the next segment; ids are not used again
 */

import {toBoundary, toSeconds} from './frames.js';
import * as list from './segments.js';

/** @type {Marks} */
export const EMPTY = Object.freeze({segments: [], pending: null, absent: false, nextId: 1});

/** @returns {Marks} with segments given as pairs of boundaries */
export function fromBoundaries(pairs, count, {pending = null, absent = false} = {}) {
  let marks = EMPTY;
  for (const [start, end] of pairs) marks = addSegment(marks, start, end, count);
  return {...marks, pending, absent: absent && marks.segments.length === 0};
}

/** @returns {Marks} with segments given in seconds, put at the nearest frame boundaries */
export function fromSeconds(pairs, clip) {
  return fromBoundaries(
    pairs.map(([s, e]) => [toBoundary(clip, s), toBoundary(clip, e)]),
    clip.count,
  );
}

/** Adds a segment; says nothing about the one in the making. */
export function addSegment(marks, from, to, count) {
  return {
    ...marks,
    absent: false,
    nextId: marks.nextId + 1,
    segments: list.add(marks.segments, marks.nextId, from, to, count),
  };
}

/** A segment begins with this frame; again, it begins here instead. */
export const begin = (marks, frame) =>
  marks.pending === frame ? marks : {...marks, pending: frame, absent: false};

/** The segment in the making ends with this frame; begun later than that, it runs backwards. */
export function finish(marks, frame, count) {
  if (marks.pending === null) return marks;
  const [first, last] = [Math.min(marks.pending, frame), Math.max(marks.pending, frame)];
  return {...addSegment(marks, first, last + 1, count), pending: null};
}

/** The segment in the making ends with this frame, and the next one begins with the one after. */
export const split = (marks, frame, count) => {
  const done = finish(marks, frame, count);
  return begin(done, Math.min(Math.max(marks.pending, frame) + 1, count - 1));
};

/** Forgets the start that has no end. */
export const cancel = (marks) => (marks.pending === null ? marks : {...marks, pending: null});

/** "The action is not here" takes all segments away; undo brings them back. */
export const setAbsent = (marks, absent) =>
  marks.absent === absent
    ? marks
    : {
        ...marks,
        absent,
        segments: absent ? [] : marks.segments,
        pending: absent ? null : marks.pending,
      };

/** Changes the segments alone. */
export const withSegments = (marks, segments) =>
  segments === marks.segments ? marks : {...marks, segments};

/** @returns {[number, number][]} the answer in seconds, as the server wants it */
export const toAnswer = (marks, clip) =>
  marks.segments.map(({start, end}) => [toSeconds(clip, start), toSeconds(clip, end)]);

/** @returns {string} what is missing before the answer can be sent; empty if nothing is */
export function obstacle(marks) {
  if (marks.pending !== null) return 'Mark the end (O), or cancel the start (Esc).';
  if (!marks.segments.length && !marks.absent) {
    return 'Mark every instance, or say that it is not here.';
  }
  return '';
}
