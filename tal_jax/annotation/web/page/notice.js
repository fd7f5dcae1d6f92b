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

  /** @param {'info' | 'good' | 'bad'} kind bad ones stay until they are closed */
  show(text, kind = 'info') {
    const toast = h(
      'div',
      {class: `toast ${kind}`, role: kind === 'bad' ? 'alert' : null},
      h('span', {text}),
      h('button', {
        type: 'button',
        class: 'quiet',
        'aria-label': 'Close',
        text: '\u00d7',
        on: {click: () => toast.remove()},
      }),
    );
    // One passing word at a time; what went wrong stays until it is closed.
    for (const old of [...this.#stack.children]) if (!old.classList.contains('bad')) old.remove();
    this.#stack.append(toast);
    if (kind !== 'bad') {
      this.announce(text);
      setTimeout(() => toast.remove(), STAYS);
    }
  }
}

/**
 * Asks in a dialog; the browser keeps the focus inside and gives it back.
 * @returns {Promise<boolean>}
 */
export function ask(question, detail, yes, no = 'Cancel') {
  return new Promise((resolve) => {
    const dialog = h(
      'dialog',
      {class: 'dialog small', 'aria-labelledby': 'ask-title'},
      h('h2', {id: 'ask-title', text: question}),
      h('p', {text: detail}),
      h(
        'form',
        {method: 'dialog', class: 'row end'},
        h('button', {class: 'button', value: '', text: no}),
        h('button', {class: 'button primary', value: 'yes', text: yes}),
      ),
    );
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(dialog.returnValue === 'yes');
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
