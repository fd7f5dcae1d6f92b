/** The segments as a table: what the timeline shows, for the keyboard and for screen readers. */

import {h, icon, put, say} from './dom.js';
import {timecode, toSeconds} from './frames.js';
import {overlapping} from './segments.js';
import {idOf, spread} from './sheet.js';

export class SegmentList {
  /**
   * @param {import('./frames.js').Clip} clip
   * @param {object} on
   * @param {(id: number, frame: number, lane: number) => void} on.select and go to one of its
   *   frames
   * @param {(id: number, lane: number) => void} on.remove
   * @param {string[]} labels of the classes; named where there are several
   */
  constructor(clip, on, labels) {
    this.clip = clip;
    this.on = on;
    this.labels = labels;
    this.several = labels.length > 1;
    const more = this.several ? ['Class', 'Start', 'End'] : ['Start', 'End', 'Length'];
    const columns = ['No.', ...more, 'Delete'];
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
          h('caption', {class: 'unseen', text: `Segments: ${more.join(', ').toLowerCase()}`}),
          h(
            'thead',
            {},
            h(
              'tr',
              {},
              ...columns.map((text) =>
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

  /**
   * @param {import('./sheet.js').Sheet} sheet
   * @param {number} active the class of the selected segment
   * @param {number | null} selected
   */
  update(sheet, active, selected) {
    const all = spread(sheet);
    say(this.count, all.length ? String(all.length) : '');
    this.empty.hidden = all.length > 0;
    this.body.parentElement.hidden = all.length === 0;
    say(this.empty, this.#none(sheet, active));
    const focused = document.activeElement?.closest?.('.segment-table [data-key]')?.dataset.key;
    const shared = sheet.map(({segments}) => overlapping(segments));
    const chosen = selected === null ? '' : idOf(active, selected);
    put(
      this.body,
      ...all.map((one) => this.#row(one, one.id === chosen, shared[one.lane].has(one.segment.id))),
    );
    if (focused) this.body.querySelector(`[data-key="${focused}"]`)?.focus({preventScroll: true});
    this.body.querySelector('.selected')?.scrollIntoView({block: 'nearest'});
    const overlaps = sheet.flatMap(({segments}, lane) => this.#overlap(segments, lane, shared));
    this.warning.hidden = overlaps.length === 0;
    say(
      this.warning.lastChild,
      overlaps.length
        ? `${overlaps.join('; ')} overlap. Fine if the action happens twice at once; else mend it.`
        : '',
    );
  }

  /** What is in place of the segments while there are none. */
  #none(sheet, active) {
    const {pending, absent} = sheet[active];
    const of = this.several ? `${this.labels[active]}: ` : '';
    const gone = this.several ? sheet.every((marks) => marks.absent) : absent;
    if (gone) {
      return this.several
        ? 'You said that none of the actions is in this video.'
        : 'You said that the action is not in this video.';
    }
    return pending !== null
      ? `${of}Started at ${timecode(pending / this.clip.fps)}. Mark the end with O.`
      : 'None yet. Mark the start with I and the end with O, or draw on the timeline.';
  }

  /** The segments of a class that overlap, in words; no or one text. */
  #overlap(segments, lane, shared) {
    const numbers = segments.flatMap(({id}, i) => (shared[lane].has(id) ? [i + 1] : []));
    if (!numbers.length) return [];
    const name = this.several ? `${this.labels[lane]}, segments` : 'Segments';
    return [`${name} ${numbers.join(', ')}`];
  }

  #row({id: key, lane, number, segment: {id, start, end}}, selected, shared) {
    const label = this.several ? `${this.labels[lane]}, segment ${number}` : `segment ${number}`;
    const [from, to] = [start, end].map((b) => toSeconds(this.clip, b));
    const go = (part, text, frame, name) =>
      h('button', {
        type: 'button',
        class: 'link',
        'data-key': `${part}${key}`,
        text,
        'aria-label': `${text}: ${name}`,
        on: {click: () => this.on.select(id, frame, lane)},
      });
    return h(
      'tr',
      {
        class: `${selected ? 'selected' : ''} ${shared ? 'shared' : ''}`,
        'aria-selected': selected ? 'true' : null,
      },
      h('th', {scope: 'row'}, go('n', String(number), start, `select ${label}`)),
      this.several ? this.#class(lane) : null,
      h(
        'td',
        {},
        go('s', timecode(from), start, `go to the start, frame ${start}`),
      ),
      h(
        'td',
        {},
        go('e', timecode(to), end - 1, `go to the end, frame ${end - 1}`),
      ),
      this.several
        ? null
        : h('td', {class: 'number', text: `${(to - from).toFixed(2)} s`}),
      h(
        'td',
        {class: 'narrow'},
        h(
          'button',
          {
            type: 'button',
            class: 'quiet',
            'data-key': `d${key}`,
            'aria-label': `Delete ${label}`,
            title: 'Delete (Del deletes the selected one)',
            on: {click: () => this.on.remove(id, lane)},
          },
          icon('remove'),
        ),
      ),
    );
  }

  #class(lane) {
    return h(
      'td',
      {class: `of-class class-${(lane % 8) + 1}`},
      h('span', {class: 'swatch', 'aria-hidden': 'true', text: String(lane + 1)}),
      h('span', {class: 'clip', text: this.labels[lane], title: this.labels[lane]}),
    );
  }
}
