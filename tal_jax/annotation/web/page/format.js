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

/** @param {number | null} seconds @returns {string} e.g. 48 s, 3 min 20 s, 1 h 5 min */
export function span(seconds) {
  if (seconds === null || seconds === undefined) return DASH;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${whole % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** @param {number} seconds @returns {string} e.g. 12 min, 3 h, 2 days */
export function roughly(seconds) {
  const minutes = seconds / 60;
  if (minutes < 90) return `${Math.max(1, Math.round(minutes))} min`;
  const hours = minutes / 60;
  return hours < 36 ? `${Math.round(hours)} h` : `${Math.round(hours / 24)} days`;
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
