/** Keys of the page, wherever the focus is, unless what has the focus needs them itself. */

import {singleKeys} from './help.js';
import {chordOf, commandOf, isCharacter} from './keys.js';

// Not by repeat.
const ONCE = new Set('play begin finish split absent loop submit mute goTo'.split(' '));

/**
 * @param {(id: string) => boolean} run runs a command; whether there is such a one
 * @param {() => void} leave Esc in a field: the focus goes back to the video
 * @param {() => void} onUp a key was let go
 * @param {AbortSignal} signal ends it
 */
export function listen(run, leave, onUp, signal) {
  document.addEventListener('keydown', (event) => press(event, run, leave), {signal});
  document.addEventListener('keyup', onUp, {signal});
}

function press(event, run, leave) {
  if (event.defaultPrevented || document.querySelector('dialog[open]')) return;
  const chord = chordOf(event);
  const {target} = event;
  if (target.closest('input:not([type=checkbox]), textarea, select')) {
    if (chord === 'Escape') {
      event.preventDefault();
      leave();
      return;
    }
    if (chord !== 'Mod+Enter') return;
  }
  if ((chord === 'Space' || chord === 'Enter') && target.closest('button, a, summary, input'))
    return;
  if (isCharacter(chord) && !singleKeys()) return;
  const id = commandOf(chord);
  if ((event.repeat && ONCE.has(id)) || (id && run(id))) event.preventDefault();
}
