/**
 * Edits of a list of segments. Lists are never changed, only replaced; they are sorted by start.
 *
 * @typedef {{id: number, start: number, end: number}} Segment  boundaries (see frames.js),
 *   0 <= start < end <= the clip's count
 */

import {clamp} from './frames.js';

const sorted = (segments) =>
  [...segments].sort((p, q) => p.start - q.start || p.end - q.end || p.id - q.id);

/** @returns {Segment | undefined} */
export const byId = (segments, id) => segments.find((segment) => segment.id === id);

/** @returns {Segment[]} with one more; boundaries in either order, brought inside the clip */
export function add(segments, id, from, to, count) {
  const start = clamp(Math.min(from, to), 0, count - 1);
  return sorted([...segments, {id, start, end: clamp(Math.max(from, to), start + 1, count)}]);
}

/** @returns {Segment[]} */
export const remove = (segments, id) => segments.filter((segment) => segment.id !== id);

/**
 * Puts an edge at a boundary; it stops one frame before the other edge.
 * @param {'start' | 'end'} edge
 * @returns {Segment[]} the same list if nothing changes
 */
export function setEdge(segments, id, edge, boundary, count) {
  const old = byId(segments, id);
  if (!old) return segments;
  const at =
    edge === 'start' ? clamp(boundary, 0, old.end - 1) : clamp(boundary, old.start + 1, count);
  return at === old[edge] ? segments : replaced(segments, {...old, [edge]: at});
}

/** Moves a whole segment so that it starts at a boundary, inside the clip. */
export function moveTo(segments, id, boundary, count) {
  const old = byId(segments, id);
  if (!old) return segments;
  const start = clamp(boundary, 0, count - (old.end - old.start));
  return start === old.start
    ? segments
    : replaced(segments, {...old, start, end: start + old.end - old.start});
}

/** @returns {Set<number>} ids of segments that share a frame with another */
export function overlapping(segments) {
  const found = new Set();
  let last = null; // of the segments before, the one that reaches furthest
  for (const segment of sorted(segments)) {
    if (last && segment.start < last.end) found.add(last.id).add(segment.id);
    if (!last || segment.end > last.end) last = segment;
  }
  return found;
}

/**
 * The segment to select next.
 * @param {number | null} id what is selected now, else the frame decides
 * @param {1 | -1} direction
 * @returns {Segment | null}
 */
export function neighbour(segments, id, frame, direction) {
  const at = segments.findIndex((segment) => segment.id === id);
  if (at >= 0) return segments[at + direction] ?? null;
  return (
    (direction > 0
      ? segments.find((segment) => segment.start >= frame)
      : segments.findLast((segment) => segment.start < frame)) ?? null
  );
}

function replaced(segments, changed) {
  return sorted(segments.map((segment) => (segment.id === changed.id ? changed : segment)));
}
