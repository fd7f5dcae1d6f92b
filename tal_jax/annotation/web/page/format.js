/** Numbers and times in words. A number that is not known yet is a dash. */

const DASH = '\u2013';

/** @param {number | null} share @returns {string} e.g. 87 % */
export const percent = (share) =>
  share === null || share === undefined ? DASH : `${Math.round(100 * share)} %`;

/** @returns {string} with a fixed number of digits after the point */
export const fixed = (value, digits = 2) =>
  value === null || value === undefined ? DASH : value.toFixed(digits);

/** @param {number} cents @returns {string} e.g. $12.30 */
export const money = (cents) => `$${(cents / 100).toFixed(2)}`;

/** @param {number | null} seconds @returns {string} e.g. 48 s, 3 min 20 s */
export function span(seconds) {
  if (seconds === null || seconds === undefined) return DASH;
  const whole = Math.round(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/** @param {number} at seconds since the epoch */
export const moment = (at) =>
  new Date(1000 * at).toLocaleString('en-GB', {
    day: 'numeric',
    month: 'short',
    hour: '2-digit',
    minute: '2-digit',
  });

/** @returns {string} 1 task, 2 tasks */
export const count = (n, one, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;
