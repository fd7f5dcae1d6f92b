/**
 * The timeline: ruler, lanes of segments, playhead, and an overview to scroll with.
 *
 * It keeps only its view (what part it shows); everything else comes in by `update`, and what the
 * user does goes out by `on`. There is an edit lane a class; the selected segment, which is of the
 * active class, has two sliders, its edges.
 *
 * @typedef {{id: string, name: string, kind: 'answer' | 'suggestion' | 'final',
 *   spans: {start: number, end: number, title: string, score?: number}[],
 *   action?: {label: string, run: () => void}}} Lane  read-only; boundaries, fractions allowed
 */

import {h, put} from './dom.js';
import {drag} from './drag.js';
import {EditLane} from './edit_lane.js';
import {EMPTY} from './marks.js';
import {spread} from './sheet.js';
import * as views from './view.js';

const WHEEL = 1.0015; // zoom a unit of the wheel
const BORDER = 20; // pixels inside the ends, from which on a drag scrolls
const FULL = 30; // pixels further out, where it is fastest
const FASTEST = 1.5; // widths of the view a second

export class Timeline {
  /**
   * @param {import('./frames.js').Clip} clip
   * @param {object} on
   * @param {(frame: number) => void} on.seek
   * @param {(id: number | null, lane: number) => void} on.select
   * @param {(id: number, part: 'start' | 'end' | 'all', boundary: number, lane: number) => void}
   *   on.edit during a drag, or by the keys of an edge; `all` moves the segment to start there
   * @param {() => void} on.done the drag, or the key, is over
   * @param {(start: number, end: number, lane: number) => void} on.draw a new segment was drawn
   * @param {(lane: string, index: number) => void} on.take a suggestion was clicked
   * @param {(lane: number) => void} [on.choose] the name of a class was clicked
   * @param {(lane: number) => void} [on.absent] "not here" of a class was clicked
   * @param {string[]} [names] what the edit lanes are called
   */
  constructor(clip, on, names = ['Your answer']) {
    this.clip = clip;
    this.on = on;
    this.view = views.whole(clip.count);
    this.lanes = [];
    const sheet = names.map(() => EMPTY);
    this.data = {sheet, active: 0, selected: null, hint: null, frame: 0};
    this.#build(names);
    this.observer = new ResizeObserver(() => this.#draw());
    this.observer.observe(this.area);
  }

  #build(names) {
    this.ruler = h('div', {class: 'tl-ruler', on: {pointerdown: (e) => this.#scrub(e)}});
    this.strip = h('div', {
      class: 'tl-lane tl-film',
      'aria-hidden': 'true',
      on: {pointerdown: (e) => this.#scrub(e)},
    });
    this.edits = names.map(
      (name, index) =>
        new EditLane(
          this.clip,
          {name, index, several: names.length > 1},
          {
            at: (event) => this.#at(event),
            scroll: (...held) => this.#creep(...held),
            place: (...place) => this.#place(...place),
            seek: this.on.seek,
            select: (id) => this.on.select(id, index),
            edit: (id, part, boundary) => this.on.edit(id, part, boundary, index),
            done: this.on.done,
            draw: (start, end) => this.on.draw(start, end, index),
            choose: () => this.on.choose(index),
            absent: () => this.on.absent(index),
          },
        ),
    );
    this.others = h('div', {class: 'tl-others'});
    this.hint = h('div', {class: 'tl-hint', hidden: true});
    this.playhead = h('div', {class: 'tl-playhead', 'aria-hidden': 'true'});
    this.area = h(
      'div',
      {class: 'tl-area', on: {wheel: (e) => this.#wheel(e)}},
      this.hint,
      this.ruler,
      this.strip,
      ...this.edits.map(({element}) => element),
      this.others,
      this.playhead,
    );
    this.names = h('div', {class: 'tl-names'});
    this.window = h('div', {class: 'tl-window'});
    this.overview = h(
      'div',
      {class: 'tl-overview', 'aria-hidden': 'true', on: {pointerdown: (e) => this.#scroll(e)}},
      this.window,
    );
    this.element = h(
      'div',
      {class: 'timeline', role: 'group', 'aria-label': 'Timeline'},
      this.names,
      this.area,
      h('div', {class: 'tl-corner', text: 'Overview'}),
      this.overview,
    );
    this.setLanes([]);
  }

  /** @param {Lane[]} lanes below the edit lane */
  setLanes(lanes) {
    this.lanes = lanes;
    put(
      this.names,
      h('div', {class: 'tl-name tl-ruler'}),
      h('div', {class: 'tl-name tl-film'}),
      ...this.edits.map(({name}) => name),
      ...lanes.map((lane) =>
        h(
          'div',
          {class: `tl-name ${lane.kind}`},
          h('span', {class: 'clip', text: lane.name, title: lane.name}),
          lane.action
            ? h('button', {
                type: 'button',
                class: 'quiet tiny',
                text: lane.action.label,
                'aria-label': `${lane.action.label}: ${lane.name}`,
                on: {click: lane.action.run},
              })
            : null,
        ),
      ),
    );
    this.rows = lanes.map((lane) =>
      h('div', {
        class: `tl-lane ${lane.kind}`,
        role: 'group',
        'aria-label': lane.name,
        on: {pointerdown: (e) => this.#scrub(e)},
      }),
    );
    put(this.others, ...this.rows);
    this.#draw();
  }

  /** @param {Partial<typeof this.data>} data what changed */
  update(data) {
    Object.assign(this.data, data);
    this.#draw();
  }

  /** Only the playhead moves: many times a second. */
  moveTo(frame, follow) {
    this.data.frame = frame;
    const view = follow ? views.reveal(this.view, frame) : this.view;
    if (view !== this.view) this.show(view);
    else this.#drawPlayhead();
  }

  /** @param {views.View} view */
  show(view) {
    this.view = view;
    this.#draw();
    this.onView?.(view);
  }

  zoom(factor, about = this.data.frame) {
    const {from, to} = this.view;
    this.show(
      views.zoom(this.view, factor, about >= from && about <= to ? about : (from + to) / 2),
    );
  }

  close() {
    this.observer.disconnect();
  }

  /** The boundary (with fraction) under a pointer. */
  #at(event) {
    const {left, width} = this.area.getBoundingClientRect();
    return views.boundaryAt(this.view, (event.clientX - left) / (width || 1));
  }

  #scrub(down) {
    const seek = (event) => this.on.seek(Math.floor(this.#at(event)));
    if (down.button === 0) seek(down);
    drag(down, {move: seek, scroll: (...held) => this.#creep(...held)});
  }

  /** A pointer held at the border scrolls, the faster the further out. @returns {boolean} it did */
  #creep({clientX}, milliseconds) {
    const {left, right} = this.area.getBoundingClientRect();
    const out = Math.min(0, clientX - left - BORDER) + Math.max(0, clientX - right + BORDER);
    const speed = FASTEST * Math.max(-1, Math.min(out / FULL, 1));
    const by = ((speed * milliseconds) / 1000) * (this.view.to - this.view.from);
    const view = views.pan(this.view, by);
    if (view.from === this.view.from) return false;
    this.show(view);
    return true;
  }

  #wheel(event) {
    event.preventDefault();
    const size = event.deltaMode === 1 ? 30 : 1; // lines or pixels
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      const {width} = this.area.getBoundingClientRect();
      const by = ((event.deltaX || event.deltaY) * size) / (width || 1);
      this.show(views.pan(this.view, by * (this.view.to - this.view.from)));
    } else {
      this.show(views.zoom(this.view, WHEEL ** (-event.deltaY * size), this.#at(event)));
    }
  }

  #scroll(down) {
    const {left, width} = this.overview.getBoundingClientRect();
    const go = (event) => {
      const at = ((event.clientX - left) / (width || 1)) * this.clip.count;
      this.show(views.pan(this.view, at - (this.view.from + this.view.to) / 2));
    };
    if (down.button === 0) go(down);
    drag(down, {move: go});
  }

  #draw() {
    const {width} = this.area.getBoundingClientRect();
    if (!width) return;
    const {sheet, active, selected, hint} = this.data;
    put(
      this.ruler,
      ...views.ticks(this.view, this.clip.fps, width).map(({at, label}) => {
        const tick = h(
          'div',
          {class: label ? 'tl-tick major' : 'tl-tick'},
          label ? h('span', {text: label}) : null,
        );
        tick.style.setProperty('left', `${100 * views.share(this.view, at)}%`);
        return tick;
      }),
    );
    this.edits.forEach((edit, i) =>
      edit.draw(sheet[i], i === active ? selected : null, i === active),
    );
    this.hint.hidden = !hint;
    if (hint) this.#place(this.hint, hint[0], hint[1]);
    this.lanes.forEach((lane, i) =>
      put(this.rows[i], ...lane.spans.map((span, k) => this.#span(lane, span, k))),
    );
    this.#place(this.window, this.view.from, this.view.to, views.whole(this.clip.count));
    put(
      this.overview,
      this.window,
      ...spread(sheet).map(({lane, segment}) => {
        const picked = lane === active && segment.id === selected;
        const kind = sheet.length > 1 ? `class-${(lane % 8) + 1}` : '';
        const bar = h('div', {class: `tl-bar ${kind} ${picked ? 'selected' : ''}`});
        if (sheet.length > 1) {
          bar.style.setProperty('top', `${(100 * lane) / sheet.length}%`);
          bar.style.setProperty('height', `${100 / sheet.length}%`);
        }
        this.#place(bar, segment.start, segment.end, views.whole(this.clip.count));
        return bar;
      }),
    );
    this.#drawPlayhead();
  }

  #span(lane, span, index) {
    const clickable = lane.kind === 'suggestion';
    const element = h(
      clickable ? 'button' : 'div',
      {
        class: `tl-span ${lane.kind}`,
        type: clickable ? 'button' : null,
        title: span.title,
        'aria-label': span.title,
        role: clickable ? null : 'img',
        on: clickable
          ? {pointerdown: (e) => e.stopPropagation(), click: () => this.on.take(lane.id, index)}
          : {},
      },
      clickable ? h('span', {text: Math.round(100 * span.score) + ' %'}) : null,
    );
    this.#place(element, span.start, span.end);
    return element;
  }

  #drawPlayhead() {
    // In the middle of the frame on the screen.
    const at = 100 * views.share(this.view, this.data.frame + 0.5);
    this.playhead.style.setProperty('left', `${at}%`);
    this.playhead.hidden = at < 0 || at > 100;
    const {sheet, frame} = this.data;
    this.edits.forEach((edit, i) => edit.drawPending(sheet[i].pending, frame));
  }

  #place(element, start, end, view = this.view) {
    const [left, right] = [views.share(view, start), views.share(view, end)];
    element.style.setProperty('left', `${100 * left}%`);
    element.style.setProperty('width', `${100 * (right - left)}%`);
  }
}
