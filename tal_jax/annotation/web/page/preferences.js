/** What somebody likes to work with, kept by this browser from video to video. */

import {RATES} from './player.js';

const PLACE = 'tal_jax.preferences';

// Of playing; frames of a large step; no sound of the video; a sound when a task is there.
const USUAL = {rate: 1, step: 10, muted: false, bell: false};
const FITS = {
  rate: (value) => RATES.includes(value),
  step: (value) => Number.isInteger(value) && value >= 2 && value <= 1000,
  muted: (value) => typeof value === 'boolean',
  bell: (value) => typeof value === 'boolean',
};
let kept = null;

/** @returns {typeof USUAL} */
export function preferences() {
  kept ??= fitting(stored(), USUAL);
  return kept;
}

/** @param {Partial<typeof USUAL>} changes */
export function prefer(changes) {
  const next = fitting(changes, preferences());
  if (Object.keys(USUAL).every((name) => next[name] === kept[name])) return;
  kept = next;
  try {
    localStorage.setItem(PLACE, JSON.stringify(kept));
  } catch {
    // Full or forbidden, as inside a crowd's frame: kept for as long as the page is open.
  }
}

function stored() {
  try {
    return JSON.parse(localStorage.getItem(PLACE) ?? 'null');
  } catch {
    return null;
  }
}

/** Those of some values, whatever they are, that fit, and others in place of the rest. */
const fitting = (values, others) =>
  Object.fromEntries(
    Object.entries(FITS).map(([name, fits]) => {
      const value = values?.[name];
      return [name, fits(value) ? value : others[name]];
    }),
  );
