/** Tables from rows of cells. Focus stays where it was when the rows are drawn again. */

import {h, put} from './dom.js';

/**
 * @param {string} caption for screen readers
 * @param {{name: string, number?: boolean, hidden?: boolean, title?: string}[]} columns hidden: the
 *   name is read, not seen
 */
export class Table {
  #body = h('tbody');

  constructor(caption, columns) {
    this.columns = columns;
    this.element = h(
      'table',
      {class: 'table'},
      h('caption', {class: 'unseen', text: caption}),
      h(
        'thead',
        {},
        h(
          'tr',
          {},
          ...columns.map(({name, number, hidden, title}) =>
            h(
              'th',
              {scope: 'col', class: number ? 'number' : '', title},
              h('span', {class: hidden ? 'unseen' : '', text: name}),
            ),
          ),
        ),
      ),
      this.#body,
    );
  }

  /** @param {(string | Node)[][]} rows @param {string} empty what to say where there are none */
  update(rows, empty) {
    const focused = document.activeElement?.closest?.('[data-key]');
    const key = this.#body.contains(focused) ? focused.dataset.key : null;
    put(
      this.#body,
      ...rows.map((cells) =>
        h(
          'tr',
          {},
          ...cells.map((cell, i) =>
            h(
              i ? 'td' : 'th',
              {class: this.columns[i].number ? 'number' : '', scope: i ? null : 'row'},
              cell,
            ),
          ),
        ),
      ),
      rows.length
        ? null
        : h('tr', {}, h('td', {colspan: this.columns.length, class: 'muted', text: empty})),
    );
    if (key)
      [...this.#body.querySelectorAll('[data-key]')].find((e) => e.dataset.key === key)?.focus();
  }
}

/** A state as a coloured word. */
export const badge = (state) => h('span', {class: `badge ${state}`, text: state});

/** A bar from 0 to 1 beside its number. */
export function meter(share, text) {
  const bar = h('span', {class: 'meter', 'aria-hidden': 'true'}, h('span'));
  bar.firstChild.style.setProperty('width', `${100 * Math.min(1, Math.max(0, share || 0))}%`);
  return h('span', {class: 'metered'}, bar, h('span', {text}));
}
