/** A lane of the timeline that can be edited: the segments of a class, and the one being drawn. */

import {h, icon, put, set} from './dom.js';
import {drag} from './drag.js';
import {SegmentBars} from './segment_bars.js';

export class EditLane {
  /**
   * @param {import('./frames.js').Clip} clip
   * @param {{name: string, index: number, several: boolean}} look several: it is one of many,
   *   chosen by its name here or by its number
   * @param {object} on
   * @param {(event: PointerEvent) => number} on.at the boundary, with fraction, under a pointer
   * @param {(event: PointerEvent, milliseconds: number) => boolean} on.scroll see `drag`
   * @param {(element: HTMLElement, start: number, end: number) => void} on.place
   * @param {(frame: number) => void} on.seek
   * @param {(id: number | null) => void} on.select
   * @param {(id: number, part: 'start' | 'end' | 'all', boundary: number) => void} on.edit
   * @param {() => void} on.done
   * @param {(start: number, end: number) => void} on.draw
   * @param {() => void} on.choose
   * @param {() => void} on.absent
   */
  constructor(clip, {name, index, several}, on) {
    this.on = on;
    this.several = several;
    const kind = several ? `class-${(index % 8) + 1}` : '';
    this.element = h('div', {
      class: `tl-lane tl-edit ${kind}`,
      role: 'group',
      'aria-label': name,
      on: {pointerdown: (e) => this.#empty(e)},
    });
    this.bars = new SegmentBars(
      this.element,
      clip,
      {
        edit: on.edit,
        done: on.done,
        grip: (event, segment, part) => this.#grip(event, segment, part),
      },
      several ? name : '',
    );
    this.ghost = h('div', {class: 'tl-ghost', hidden: true});
    this.nothing = h('div', {class: 'tl-nothing', text: 'not here', hidden: true});
    this.name = h('div', {class: `tl-name tl-edit ${kind}`});
    if (!several) put(this.name, name);
    else this.#buildName(name, index);
  }

  #buildName(name, index) {
    this.choose = h(
      'button',
      {
        type: 'button',
        class: 'class-choice',
        title: `${name}: marks are of this class${index < 9 ? ` (${index + 1})` : ''}`,
        'aria-keyshortcuts': index < 9 ? String(index + 1) : null,
        on: {click: () => this.on.choose()},
      },
      h('span', {class: 'swatch', text: String(index + 1)}),
      h('span', {class: 'clip', text: name}),
    );
    this.absent = h(
      'button',
      {
        type: 'button',
        class: 'quiet absent',
        'aria-label': `${name} is not here`,
        title: `${name} is not here`,
        on: {click: () => this.on.absent()},
      },
      icon('absent'),
    );
    put(this.name, this.choose, this.absent);
  }

  /**
   * @param {import('./marks.js').Marks} marks
   * @param {number | null} selected
   * @param {boolean} active new marks are of this class
   */
  draw({segments, pending, absent}, selected, active) {
    this.bars.draw(segments, selected, (...place) => this.on.place(...place));
    this.element.append(this.ghost, this.nothing);
    this.element.classList.toggle('pending', pending !== null);
    if (!this.several) return;
    this.nothing.hidden = !absent;
    const chosen = active && !this.name.classList.contains('active');
    for (const part of [this.element, this.name]) part.classList.toggle('active', active);
    if (chosen) this.name.scrollIntoView({block: 'nearest'});
    set(this.choose, 'aria-pressed', active);
    set(this.absent, 'aria-pressed', absent);
  }

  /** The segment in the making, up to the frame on the screen: many times a second. */
  drawPending(pending, frame) {
    let mark = this.element.querySelector('.tl-pending');
    if (pending === null) {
      mark?.remove();
      return;
    }
    if (!mark) {
      mark = h('div', {class: 'tl-pending', 'aria-hidden': 'true'});
      this.element.append(mark);
    }
    this.on.place(mark, Math.min(pending, frame), Math.max(pending, frame) + 1);
  }

  /** On the free part of the lane a click seeks, a drag draws a segment. */
  #empty(down) {
    if (down.target !== this.element) return;
    const from = this.on.at(down);
    const span = (event) => {
      const ends = [from, this.on.at(event)].sort((a, b) => a - b);
      return [Math.floor(ends[0]), Math.max(Math.floor(ends[0]) + 1, Math.ceil(ends[1]))];
    };
    drag(down, {
      scroll: this.on.scroll,
      move: (event) => {
        const [start, end] = span(event);
        this.on.place(this.ghost, start, end);
        this.ghost.hidden = false;
        this.on.seek(Math.floor(this.on.at(event)));
      },
      end: (moved, event) => {
        this.ghost.hidden = true;
        if (moved) this.on.draw(...span(event));
        else {
          this.on.select(null);
          this.on.seek(Math.floor(from));
        }
      },
      cancel: () => {
        this.ghost.hidden = true;
      },
    });
  }

  /** Drags a segment or one of its edges. */
  #grip(down, segment, part) {
    down.stopPropagation();
    if (down.button === 0) this.on.select(segment.id);
    const from = this.on.at(down);
    const origin = part === 'end' ? segment.end : segment.start;
    drag(down, {
      scroll: this.on.scroll,
      move: (event) =>
        this.on.edit(segment.id, part, Math.round(origin + this.on.at(event) - from)),
      end: (moved) => {
        if (moved) this.on.done();
        else if (part === 'all') this.on.seek(Math.floor(from));
      },
      cancel: () => this.on.done(),
    });
  }
}
