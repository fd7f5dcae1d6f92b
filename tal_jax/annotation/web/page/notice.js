/** What the page says: to everybody in a corner, to screen readers through a live region. */

import {h} from './dom.js';

const STAYS = 5000; // milliseconds

export class Notices {
  #live = h('div', {class: 'unseen', role: 'status', 'aria-live': 'polite'});
  #stack = h('div', {class: 'toasts'});

  constructor() {
    document.body.append(this.#live, this.#stack);
  }

  /** Says something to screen readers only (the screen shows it already). */
  announce(text) {
    // The same text twice must be a change, or it is not read again.
    this.#live.textContent = this.#live.textContent === text ? `${text}\u00a0` : text;
  }

  /**
   * @param {'info' | 'good' | 'bad'} kind bad ones stay until they are closed
   * @param {{label: string, run: () => void, seconds: number} | null} action offered beside it
   */
  show(text, kind = 'info', action = null) {
    const toast = h(
      'div',
      {class: `toast ${kind}${action ? ' offer' : ''}`, role: kind === 'bad' ? 'alert' : null},
      h('span', {text}),
      action
        ? h('button', {
            type: 'button',
            class: 'button small',
            text: action.label,
            on: {
              click: () => {
                toast.remove();
                action.run();
              },
            },
          })
        : null,
      h('button', {
        type: 'button',
        class: 'quiet',
        'aria-label': 'Close',
        text: '\u00d7',
        on: {click: () => toast.remove()},
      }),
    );
    // One passing word at a time; what went wrong stays until it is closed, an offer its seconds.
    for (const old of [...this.#stack.children]) {
      const stays = old.classList.contains('bad') || (old.classList.contains('offer') && !action);
      if (!stays) old.remove();
    }
    this.#stack.append(toast);
    if (kind !== 'bad') {
      this.announce(text);
      setTimeout(() => toast.remove(), action ? 1000 * action.seconds : STAYS);
    }
  }
}

/**
 * Asks in a dialog; the browser keeps the focus inside and gives it back.
 * @param {HTMLElement[]} fields of a form, which must be valid for yes
 * @returns {Promise<boolean>}
 */
export function ask(question, detail, yes, no = 'Cancel', fields = []) {
  return new Promise((resolve) => {
    const dialog = h(
      'dialog',
      {class: 'dialog small', 'aria-labelledby': 'ask-title'},
      h('h2', {id: 'ask-title', text: question}),
      h('p', {text: detail}),
      h(
        'form',
        {method: 'dialog'},
        ...fields,
        h(
          'div',
          {class: 'row end'},
          h('button', {class: 'button', value: '', formnovalidate: true, text: no}),
          h('button', {class: 'button primary', value: 'yes', text: yes}),
        ),
      ),
    );
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(dialog.returnValue === 'yes');
    });
    // Enter in a field means yes, not the first button.
    dialog.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' && event.target.matches('input, select')) {
        event.preventDefault();
        dialog.querySelector('.primary').click();
      }
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/**
 * Asks for a reason in a dialog.
 * @param {string[]} reasons to choose from; none: it is written; an empty one: there need be none
 * @param {{value: string, needed: boolean}} comment to start from; needed where there is no choice
 * @returns {Promise<{reason: string, comment: string} | null>} null: no
 */
export async function askReason(question, detail, yes, reasons, comment) {
  const choice = h(
    'select',
    {id: 'ask-reason', class: 'select', required: !reasons.includes('')},
    reasons.includes('') ? null : h('option', {value: '', text: 'choose a reason'}),
    ...reasons.map((reason) => h('option', {value: reason, text: reason || 'no reason given'})),
  );
  const text = h('input', {
    id: 'ask-comment',
    class: 'input',
    maxlength: 2000,
    required: comment.needed,
    value: comment.value,
    autocomplete: 'off',
  });
  const field = (input, name) =>
    h('p', {class: 'field'}, h('label', {for: input.id, text: name}), input);
  const fields = reasons.length
    ? [field(choice, 'Reason'), field(text, 'More about it (optional)')]
    : [field(text, 'Reason')];
  return (await ask(question, detail, yes, 'Cancel', fields))
    ? {reason: reasons.length ? choice.value : text.value.trim(), comment: text.value.trim()}
    : null;
}
