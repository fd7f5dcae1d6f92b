/** Drafts that the server does not have yet, kept by this browser over a reload. */

/**
 * @returns {string} where; other people on this computer, and other campaigns, have other places
 */
export const place = (owner, {id, label, video}) =>
  `tal_jax.draft ${JSON.stringify([owner, id, video.name, label])}`;

/** @returns {import('./draft.js').Saved | null} */
export function read(key) {
  try {
    const saved = JSON.parse(localStorage.getItem(key) ?? 'null');
    return Number.isSafeInteger(saved?.revision) && typeof saved.body === 'string' ? saved : null;
  } catch {
    return null;
  }
}

export function write(key, saved) {
  try {
    localStorage.setItem(key, JSON.stringify(saved));
  } catch {
    // Full or forbidden: the server has the drafts, this is the second net.
  }
}

export function clear(key) {
  try {
    localStorage.removeItem(key);
  } catch {
    // Forbidden: then nothing was kept.
  }
}
