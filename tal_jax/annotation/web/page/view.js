/**
 * The part of a clip that the timeline shows.
 *
 * @typedef {{from: number, to: number, count: number}} View  boundaries, fractions allowed;
 *   0 <= from < to <= count
 */

import {clamp, clock} from './frames.js';

const FEWEST = 20; // frames on the screen at the closest zoom

/** @returns {View} the whole clip */
export const whole = (count) => ({from: 0, to: count, count});

/** Shows `width` frames from `from` on, or as near as the clip allows. */
function window(view, from, width) {
  const size = clamp(width, Math.min(FEWEST, view.count), view.count);
  const left = clamp(from, 0, view.count - size);
  return {...view, from: left, to: left + size};
}

/** @param {number} factor above 1 comes closer @param {number} about stays where it is */
export function zoom(view, factor, about) {
  const width = clamp((view.to - view.from) / factor, Math.min(FEWEST, view.count), view.count);
  const share = (about - view.from) / (view.to - view.from);
  return window(view, about - share * width, width);
}

export const pan = (view, frames) => window(view, view.from + frames, view.to - view.from);

/** Scrolls, if it must, until `at` is inside, a tenth of the width from the edge. */
export function reveal(view, at) {
  const margin = (view.to - view.from) / 10;
  if (at >= view.from && at <= view.to) return view;
  return pan(view, at < view.from ? at - margin - view.from : at + margin - view.to);
}

/** Shows a segment with as much again around it. */
export const around = (view, start, end) =>
  window(view, start - (end - start) / 2, 2 * (end - start));

/** @returns {number} where a boundary is, 0 at the left edge and 1 at the right one */
export const share = (view, boundary) => (boundary - view.from) / (view.to - view.from);

/** @returns {number} the boundary, with fraction, at a share of the width */
export const boundaryAt = (view, part) => view.from + part * (view.to - view.from);

const STEPS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];

/**
 * Marks of the ruler.
 * @param {number} width pixels
 * @returns {{at: number, label: string}[]} boundaries; major ones have a label
 */
export function ticks(view, fps, width, apart = 80) {
  const seconds = (view.to - view.from) / fps;
  const step = STEPS.find((s) => (s / seconds) * width >= apart) ?? STEPS.at(-1);
  const minor = step / 5;
  const found = [];
  for (let i = Math.ceil(view.from / fps / minor); i * minor * fps <= view.to; i++) {
    const at = i * minor;
    const label = i % 5 ? '' : clock(at, step < 0.1 ? 2 : step < 1 ? 1 : 0);
    found.push({at: at * fps, label});
  }
  return found;
}
