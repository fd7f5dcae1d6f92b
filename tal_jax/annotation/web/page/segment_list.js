/** The segments as a table: what the timeline shows, for the keyboard and for screen readers. */

import {h, icon, put, say} from './dom.js';
import {timecode, toSeconds} from './frames.js';
import {overlapping} from './segments.js';

export class SegmentList {
  /**
   * @param {import('./frames.js').Clip} clip
   * @param {object} on
   * @param {(id: number, frame: number) => void} on.select and go to one of its frames
   * @param {(id: number) => void} on.remove
   */
  constructor(clip, on) {
    this.clip = clip;
    this.on = on;
    this.count = h('span', {class: 'count'});
    this.body = h('tbody');
    this.empty = h('p', {class: 'hollow'});
    this.warning = h('p', {class: 'warning', hidden: true}, icon('warn'), h('span'));
    this.element = h(
      'section',
      {class: 'segments', 'aria-labelledby': 'segments-title'},
      h('h2', {id: 'segments-title'}, 'Segments ', this.count),
      h(
        'div',
        {class: 'scroll', tabindex: -1},
        this.empty,
        h(
          'table',
          {class: 'segment-table'},
          h('caption', {class: 'unseen', text: 'Segments: start, end and length'}),
          h(
            'thead',
            {},
            h(
              'tr',
              {},
              ...['No.', 'Start', 'End', 'Length', 'Delete'].map((text) =>
                h(
                  'th',
                  {scope: 'col', class: text === 'Delete' ? 'narrow' : ''},
                  h('span', {class: text === 'Delete' ? 'unseen' : '', text}),
                ),
              ),
            ),
          ),
          this.body,
        ),
      ),
      this.warning,
    );
  }

  /** @param {import('./marks.js').Marks} marks @param {number | null} selected */
  update(marks, selected) {
    const {segments, absent, pending} = marks;
    say(this.count, segments.length ? String(segments.length) : '');
    this.empty.hidden = segments.length > 0;
    this.body.parentElement.hidden = segments.length === 0;
    say(
      this.empty,
      absent
        ? 'You said that the action is not in this video.'
        : pending !== null
          ? `Started at ${timecode(pending / this.clip.fps)}. Mark the end with O.`
          : 'None yet. Mark the start with I and the end with O, or draw on the timeline.',
    );
    const focused = document.activeElement?.closest?.('.segment-table [data-key]')?.dataset.key;
    const shared = overlapping(segments);
    put(this.body, ...segments.map((segment, i) => this.#row(segment, i, selected, shared)));
    if (focused) this.body.querySelector(`[data-key="${focused}"]`)?.focus({preventScroll: true});
    this.body.querySelector('.selected')?.scrollIntoView({block: 'nearest'});
    this.warning.hidden = shared.size === 0;
    const numbers = segments.flatMap(({id}, i) => (shared.has(id) ? [i + 1] : []));
    say(
      this.warning.lastChild,
      numbers.length
        ? `Segments ${numbers.join(', ')} overlap. Fine if the ` +
            'action happens twice at once; else mend it.'
        : '',
    );
  }

  #row({id, start, end}, i, selected, shared) {
    const [from, to] = [start, end].map((b) => toSeconds(this.clip, b));
    const go = (key, text, frame, label) =>
      h('button', {
        type: 'button',
        class: 'link',
        'data-key': `${key}${id}`,
        text,
        'aria-label': label,
        on: {click: () => this.on.select(id, frame)},
      });
    return h(
      'tr',
      {
        class: `${id === selected ? 'selected' : ''} ${shared.has(id) ? 'shared' : ''}`,
        'aria-selected': id === selected ? 'true' : null,
      },
      h('th', {scope: 'row'}, go('n', String(i + 1), start, `Select segment ${i + 1}`)),
      h(
        'td',
        {},
        go('s', timecode(from), start, `Go to the start, ${timecode(from)}, frame ${start}`),
      ),
      h(
        'td',
        {},
        go('e', timecode(to), end - 1, `Go to the end, ${timecode(to)}, frame ${end - 1}`),
      ),
      h('td', {class: 'number', text: `${(to - from).toFixed(2)} s`}),
      h(
        'td',
        {class: 'narrow'},
        h(
          'button',
          {
            type: 'button',
            class: 'quiet',
            'data-key': `d${id}`,
            'aria-label': `Delete segment ${i + 1}`,
            title: 'Delete (Del deletes the selected one)',
            on: {click: () => this.on.remove(id)},
          },
          icon('remove'),
        ),
      ),
    );
  }
}
