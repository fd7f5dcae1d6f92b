/** The keyboard map in a dialog, and the switch that turns keys without Ctrl off. */

import {h} from './dom.js';
import {COMMANDS, spell} from './keys.js';

const SWITCH = 'tal_jax.single_keys';
let off = false;

/** Speech control and some screen readers type letters: one can do without them here. */
export function singleKeys() {
  try {
    return localStorage.getItem(SWITCH) !== 'off';
  } catch {
    return !off; // no storage inside a crowd's frame: for as long as the page is open
  }
}

function turn(on) {
  off = !on;
  try {
    localStorage.setItem(SWITCH, on ? 'on' : 'off');
  } catch {
    // See singleKeys.
  }
}

/** @param {Set<string>} known the commands that the page has */
export function showHelp(known) {
  const groups = Map.groupBy(
    COMMANDS.filter(({id}) => known.has(id)),
    ({group}) => group,
  );
  const keys = (chord) =>
    h('span', {class: 'chord'}, ...spell(chord).map((part) => h('kbd', {text: part})));
  const dialog = h(
    'dialog',
    {class: 'dialog help', 'aria-labelledby': 'help-title'},
    h(
      'div',
      {class: 'row between'},
      h('h2', {id: 'help-title', text: 'Keyboard'}),
      h(
        'form',
        {method: 'dialog'},
        h('button', {class: 'button'}, 'Close ', h('kbd', {text: 'Esc'})),
      ),
    ),
    h(
      'div',
      {class: 'help-groups'},
      ...[...groups].map(([group, commands]) =>
        h(
          'section',
          {},
          h('h3', {text: group}),
          h(
            'dl',
            {},
            ...commands.flatMap((command) => [
              h('dt', {}, ...command.keys.map(keys)),
              h('dd', {text: command.label}),
            ]),
          ),
        ),
      ),
    ),
    h('p', {
      class: 'muted',
      text:
        'Shift with Q, W, D or F moves the edge by a large step. ' +
        'Arrow keys on an edge of the timeline move it, too. Drag on the timeline to draw a segment, ' +
        'its edges to move them, and hold them at its border to scroll it; Shift and the wheel ' +
        'scroll sideways.',
    }),
    h(
      'label',
      {class: 'check'},
      h('input', {
        type: 'checkbox',
        checked: singleKeys(),
        on: {change: (event) => turn(event.target.checked)},
      }),
      'Keys without Ctrl work (turn this off if a screen reader or speech control needs the letters)',
    ),
  );
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
