/**
 * The keyboard map: one table, from which the keys, the hints on the buttons and the help are made.
 *
 * A chord is what one presses, e.g. 'i', 'Shift+ArrowLeft', 'Mod+z' (Mod: Ctrl, or Command on a
 * Mac). Letters mean what the layout prints on the key; where that is no Latin letter and nothing
 * that has a meaning, the key means what is in its place on a US keyboard.
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
  ['secondBack', 'Alt+ArrowLeft', 'One second back', 'Video'],
  ['secondForward', 'Alt+ArrowRight', 'One second on', 'Video'],
  ['tenBack', 'Mod+ArrowLeft Alt+Shift+ArrowLeft', 'Ten seconds back', 'Video'],
  ['tenForward', 'Mod+ArrowRight Alt+Shift+ArrowRight', 'Ten seconds on', 'Video'],
  ['goTo', 'g', 'Go to a time', 'Video'],
  ['first', 'Home', 'First frame', 'Video'],
  ['last', 'End', 'Last frame', 'Video'],
  ['slower', ', <', 'Slower, down to 0.25x', 'Video'],
  ['faster', '. >', 'Faster, up to 4x', 'Video'],
  ['normal', '/', 'Normal speed', 'Video'],
  ['mute', 'm', 'Sound on or off', 'Video'],
  ...[1, 2, 3, 4, 5, 6, 7, 8, 9].map((n) => [`class${n}`, String(n), `Class ${n}`, 'Class']),
  ['begin', 'i', 'Mark the start (also while playing)', 'Mark'],
  ['finish', 'o', 'Mark the end (also while playing)', 'Mark'],
  ['split', 'p', 'End here and start the next one (also while playing)', 'Mark'],
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
 * @param {{key: string, code?: string, ctrlKey: boolean, metaKey: boolean, altKey: boolean,
 *   shiftKey: boolean}} event
 */
export function chordOf(event) {
  const printed = chord(event, event.key);
  if (LATIN.test(event.key) || commandOf(printed)) return printed;
  const placed = inPlace(event);
  return placed ? chord(event, placed) : printed;
}

const LATIN = /^[a-z]$/i;
const MARKS = {Comma: ',<', Period: '.>', Slash: '/?', Minus: '-_', Equal: '=+'};

/** What a US keyboard has where a key is that types something; '' if that is not known. */
function inPlace({key, code = '', shiftKey}) {
  // An input method that is at work, and a key that waits for the next one, say no character.
  if (key.length > 1 && !['Process', 'Dead', 'Unidentified'].includes(key)) return '';
  if (code in MARKS) return MARKS[code][shiftKey ? 1 : 0];
  if (/^Digit\d$/.test(code)) return shiftKey ? '' : code.at(-1);
  return /^Key[A-Z]$/.test(code) ? code.at(-1) : '';
}

function chord(event, written) {
  const letter = /^\p{L}$/u.test(written);
  const key = written === ' ' ? 'Space' : letter ? written.toLowerCase() : written;
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
