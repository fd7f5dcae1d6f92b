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

/** @returns {string} mm:ss.mmm; minutes go on beyond 59 */
export function timecode(seconds) {
  const thousandths = Math.round(Math.max(0, seconds) * 1000);
  const two = (n) => String(n).padStart(2, '0');
  return (
    `${two(Math.floor(thousandths / 60000))}:${two(Math.floor(thousandths / 1000) % 60)}.` +
    String(thousandths % 1000).padStart(3, '0')
  );
}

/** @returns {string} m:ss, or m:ss.s where a tenth matters */
export function shortTime(seconds, tenths = false) {
  const unit = tenths ? 10 : 1;
  const rounded = Math.round(seconds * unit);
  const rest = rounded % (60 * unit);
  return (
    `${Math.floor(rounded / (60 * unit))}:` +
    (tenths ? (rest / 10).toFixed(1).padStart(4, '0') : String(rest).padStart(2, '0'))
  );
}
