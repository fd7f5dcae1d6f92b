/**
 * The keyboard map: one table, from which the keys, the hints on the buttons and the help are made.
 *
 * A chord is what one presses, e.g. 'i', 'Shift+ArrowLeft', 'Mod+z' (Mod: Ctrl, or Command on a
 * Mac). Letters mean what the layout prints on the key.
 *
 * @typedef {{id: string, keys: string[], label: string, group: string}} Command
 */

/** @type {Command[]} */
export const COMMANDS = [
  ['play', 'Space k', 'Play or pause', 'Video'],
  ['back', 'ArrowLeft', 'One frame back', 'Video'],
  ['forward', 'ArrowRight', 'One frame on', 'Video'],
  ['backMany', 'Shift+ArrowLeft', 'Several frames back', 'Video'],
  ['forwardMany', 'Shift+ArrowRight', 'Several frames on', 'Video'],
  ['first', 'Home', 'First frame', 'Video'],
  ['last', 'End', 'Last frame', 'Video'],
  ['slower', ', <', 'Slower, down to 0.25x', 'Video'],
  ['faster', '. >', 'Faster, up to 4x', 'Video'],
  ['normal', '1', 'Normal speed', 'Video'],
  ['mute', 'm', 'Sound on or off', 'Video'],
  ['begin', 'i', 'Mark the start (also while playing)', 'Mark'],
  ['finish', 'o', 'Mark the end (also while playing)', 'Mark'],
  ['cancel', 'Escape', 'Cancel the start; else deselect', 'Mark'],
  ['absent', 'n', 'The action is not here', 'Mark'],
  ['take', 't', 'Take over the suggestion here, or the next one', 'Mark'],
  ['previous', 'ArrowUp', 'Select the previous segment', 'Selected segment'],
  ['next', 'ArrowDown', 'Select the next segment', 'Selected segment'],
  ['setStart', 's', 'Starts at this frame', 'Selected segment'],
  ['setEnd', 'e', 'Ends at this frame', 'Selected segment'],
  ['startBack', 'q', 'Start one frame earlier', 'Selected segment'],
  ['startForward', 'w', 'Start one frame later', 'Selected segment'],
  ['endBack', 'd', 'End one frame earlier', 'Selected segment'],
  ['endForward', 'f', 'End one frame later', 'Selected segment'],
  ['loop', 'l', 'Play it in a loop, or stop that', 'Selected segment'],
  ['remove', 'Delete Backspace', 'Delete it', 'Selected segment'],
  ['undo', 'Mod+z', 'Undo', 'Edit'],
  ['redo', 'Mod+y Mod+Shift+z', 'Redo', 'Edit'],
  ['zoomIn', '+ =', 'Zoom in (or the wheel)', 'Timeline'],
  ['zoomOut', '- _', 'Zoom out (or the wheel)', 'Timeline'],
  ['zoomSegment', 'z', 'Zoom to the selected segment', 'Timeline'],
  ['zoomAll', '0', 'Show the whole video', 'Timeline'],
  ['comment', 'c', 'Write a comment (Esc comes back)', 'Task'],
  ['submit', 'Mod+Enter', 'Submit', 'Task'],
  ['help', '?', 'This help', 'Task'],
].map(([id, keys, label, group]) => ({id, keys: keys.split(' '), label, group}));

const NAMES = {
  ArrowLeft: '\u2190',
  ArrowRight: '\u2192',
  ArrowUp: '\u2191',
  ArrowDown: '\u2193',
  Escape: 'Esc',
  Delete: 'Del',
  Backspace: 'Backspace',
  Mod: 'Ctrl',
  '-': '\u2212',
};

/**
 * @param {{key: string, ctrlKey: boolean, metaKey: boolean, altKey: boolean, shiftKey: boolean}}
 *   event
 */
export function chordOf(event) {
  const letter = /^\p{L}$/u.test(event.key);
  const key = event.key === ' ' ? 'Space' : letter ? event.key.toLowerCase() : event.key;
  const shift = event.shiftKey && (letter || key.length > 1); // else Shift is in the character
  return (
    (event.ctrlKey || event.metaKey ? 'Mod+' : '') +
    (event.altKey ? 'Alt+' : '') +
    (shift ? 'Shift+' : '') +
    key
  );
}

/** @returns {string} the command of a chord; Shift makes a nudge a large one */
export function commandOf(chord) {
  const found = COMMANDS.find(({keys}) => keys.includes(chord));
  if (found) return found.id;
  const large = /^Shift\+([qwdf])$/.exec(chord);
  return large ? `${commandOf(large[1])}Many` : '';
}

/**
 * Does it work without Ctrl and on its own character? Those are what one may want to switch off.
 */
export const isCharacter = (chord) => chord.length === 1;

/** @returns {string[]} how the keys of a chord are called on the screen */
export const spell = (chord) =>
  (chord === '+' ? ['+'] : chord.split('+')).map(
    (part) => NAMES[part] ?? (part.length === 1 ? part.toUpperCase() : part),
  );

/** @returns {string} the first chord of a command, for a hint; '' if there is none */
export const hintOf = (id) => {
  const command = COMMANDS.find((one) => one.id === id);
  return command ? spell(command.keys[0]).join(' ').replace('Shift ', '\u21e7') : '';
};

/** @returns {string} for aria-keyshortcuts */
export const ariaOf = (id) =>
  (COMMANDS.find((one) => one.id === id)?.keys ?? [])
    .map((chord) => (chord === '+' ? 'Plus' : chord.replace('Mod', 'Control')))
    .join(' ');
