/**
 * Time and frames of a clip of constant frame rate.
 *
 * Notation: frame k (0, 1, ...) is on the screen during [k / fps, (k + 1) / fps). A boundary is a
 * whole number b, the instant b / fps at which frame b replaces frame b - 1. A segment of the
 * frames a to z has the boundaries a and z + 1.
 *
 * @typedef {{fps: number, duration: number, count: number}} Clip  frames a second, seconds, frames
 */

const SHORTEST = 1e-3; // seconds; the server refuses segments below it

/**
 * @param {{fps: number, duration: number, num_frames?: number}} video as the server describes it
 * @returns {Clip} count leaves out a last frame that the container's duration does not cover
 */
export function clipOf({fps, duration, num_frames: known = 0}) {
  const fitting = Math.ceil((duration - SHORTEST) * fps);
  const count =
    known > 0 ? Math.min(known, fitting) : Math.min(Math.round(duration * fps), fitting);
  return {fps, duration, count: Math.max(1, count)};
}

/** @returns {number} value, no less than low and no more than high */
export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/** @returns {number} an existing frame, the nearest to k */
export const clampFrame = (clip, k) => clamp(Math.round(k), 0, clip.count - 1);

/** Where to seek for frame k: its middle, so that no rounding shows its neighbour. */
export const middle = (clip, k) => Math.min((k + 0.5) / clip.fps, clip.duration);

/** The frame whose presentation starts at mediaTime (what requestVideoFrameCallback reports). */
export const shownFrame = (clip, mediaTime) => clampFrame(clip, mediaTime * clip.fps);

/** The frame on the screen at an instant. */
export const frameAt = (clip, seconds) =>
  clamp(Math.floor(seconds * clip.fps + 1e-6), 0, clip.count - 1);

/** A boundary in seconds, inside the clip. */
export const toSeconds = (clip, boundary) => Math.min(boundary / clip.fps, clip.duration);

/** The boundary nearest to an instant; the clip's end is the end of its last frame. */
export const toBoundary = (clip, seconds) =>
  seconds >= clip.duration ? clip.count : clamp(Math.round(seconds * clip.fps), 0, clip.count);

/** @returns {string} mm:ss.mmm, from an hour on h:mm:ss.mmm */
export const timecode = (seconds) => clock(Math.max(0, seconds), 3).padStart(9, '0');

/** @returns {string} m:ss, or h:mm:ss; with a tenth where one matters */
export const shortTime = (seconds, tenths = false) => clock(seconds, tenths ? 1 : 0);

/** @returns {string} m:ss or h:mm:ss, with some digits after the point */
export function clock(seconds, digits) {
  const unit = 10 ** digits;
  const rounded = Math.round(seconds * unit);
  const minutes = Math.floor(rounded / (60 * unit));
  const rest = ((rounded % (60 * unit)) / unit).toFixed(digits);
  const parts = minutes < 60 ? [minutes] : [Math.floor(minutes / 60), two(minutes % 60)];
  return [...parts, rest.padStart(digits ? digits + 3 : 2, '0')].join(':');
}

const two = (n) => String(n).padStart(2, '0');

/**
 * The time that somebody typed.
 * @param {string} text seconds, m:ss or h:mm:ss, each with a fraction or without
 * @returns {number | null} seconds; null if it is no time
 */
export function parseTime(text) {
  const found = /^(?:(?:(\d+):)?(\d+):)?(\d+(?:[.,]\d*)?|[.,]\d+)$/.exec(text.trim());
  if (!found) return null;
  const [hours, minutes, seconds] = [found[1], found[2], found[3].replace(',', '.')];
  if (minutes !== undefined && Number(seconds) >= 60) return null;
  if (hours !== undefined && Number(minutes) >= 60) return null;
  return 3600 * Number(hours ?? 0) + 60 * Number(minutes ?? 0) + Number(seconds);
}

/** The frame that has this time, also where it is rounded to a thousandth, as `timecode` does. */
export const frameOfTime = (clip, seconds) => frameAt(clip, seconds + 5e-4);
