/**
 * The timeline: ruler, lanes of segments, playhead, and an overview to scroll with.
 *
 * It keeps only its view (what part it shows); everything else comes in by `update`, and what the
 * user does goes out by `on`. The edit lane's selected segment has two sliders, its edges.
 *
 * @typedef {{id: string, name: string, kind: 'answer' | 'suggestion' | 'final',
 *   spans: {start: number, end: number, title: string, score?: number}[],
 *   action?: {label: string, run: () => void}}} Lane  read-only; boundaries, fractions allowed
 */

import {h, put} from './dom.js';
import {drag} from './drag.js';
import {SegmentBars} from './segment_bars.js';
import * as views from './view.js';

const WHEEL = 1.0015; // zoom a unit of the wheel

export class Timeline {
  /**
   * @param {import('./frames.js').Clip} clip
   * @param {object} on
   * @param {(frame: number) => void} on.seek
   * @param {(id: number | null) => void} on.select
   * @param {(id: number, part: 'start' | 'end' | 'all', boundary: number) => void} on.edit during a
   *   drag, or by the keys of an edge; `all` moves the segment to start there
   * @param {() => void} on.done the drag, or the key, is over
   * @param {(start: number, end: number) => void} on.draw a new segment was drawn
   * @param {(lane: string, index: number) => void} on.take a suggestion was clicked
   * @param {string} [editName] what the edit lane is called
   */
  constructor(clip, on, editName = 'Your answer') {
    this.clip = clip;
    this.on = on;
    this.view = views.whole(clip.count);
    this.lanes = [];
    this.data = {segments: [], selected: null, pending: null, hint: null, frame: 0};
    this.#build(editName);
    this.observer = new ResizeObserver(() => this.#draw());
    this.observer.observe(this.area);
  }

  #build(editName) {
    this.ruler = h('div', {class: 'tl-ruler', on: {pointerdown: (e) => this.#scrub(e)}});
    this.strip = h('div', {
      class: 'tl-lane tl-film',
      'aria-hidden': 'true',
      on: {pointerdown: (e) => this.#scrub(e)},
    });
    this.edit = h('div', {
      class: 'tl-lane tl-edit',
      role: 'group',
      'aria-label': editName,
      on: {pointerdown: (e) => this.#empty(e)},
    });
    this.bars = new SegmentBars(this.edit, this.clip, {
      edit: this.on.edit,
      done: this.on.done,
      grip: (event, segment, part) => this.#grip(event, segment, part),
    });
    this.ghost = h('div', {class: 'tl-ghost', hidden: true});
    this.others = h('div', {class: 'tl-others'});
    this.hint = h('div', {class: 'tl-hint', hidden: true});
    this.playhead = h('div', {class: 'tl-playhead', 'aria-hidden': 'true'});
    this.area = h(
      'div',
      {class: 'tl-area', on: {wheel: (e) => this.#wheel(e)}},
      this.hint,
      this.ruler,
      this.strip,
      this.edit,
      this.others,
      this.playhead,
    );
    this.names = h('div', {class: 'tl-names'});
    this.editName = h('div', {class: 'tl-name tl-edit', text: editName});
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
      this.editName,
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
    drag(down, {move: seek});
  }

  /** On the free part of the edit lane a click seeks, a drag draws a segment. */
  #empty(down) {
    if (down.target !== this.edit) return;
    const from = this.#at(down);
    const span = (event) => {
      const ends = [from, this.#at(event)].sort((a, b) => a - b);
      return [Math.floor(ends[0]), Math.max(Math.floor(ends[0]) + 1, Math.ceil(ends[1]))];
    };
    drag(down, {
      move: (event) => {
        const [start, end] = span(event);
        this.#place(this.ghost, start, end);
        this.ghost.hidden = false;
        this.on.seek(Math.floor(this.#at(event)));
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
    const from = this.#at(down);
    const origin = part === 'end' ? segment.end : segment.start;
    drag(down, {
      move: (event) => this.on.edit(segment.id, part, Math.round(origin + this.#at(event) - from)),
      end: (moved) => {
        if (moved) this.on.done();
        else if (part === 'all') this.on.seek(Math.floor(from));
      },
      cancel: () => this.on.done(),
    });
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
    const {segments, selected, pending, hint} = this.data;
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
    this.bars.draw(segments, selected, (...place) => this.#place(...place));
    this.edit.append(this.ghost);
    this.edit.classList.toggle('pending', pending !== null);
    this.hint.hidden = !hint;
    if (hint) this.#place(this.hint, hint[0], hint[1]);
    this.lanes.forEach((lane, i) =>
      put(this.rows[i], ...lane.spans.map((span, k) => this.#span(lane, span, k))),
    );
    this.#place(this.window, this.view.from, this.view.to, views.whole(this.clip.count));
    put(
      this.overview,
      this.window,
      ...segments.map((segment) => {
        const bar = h('div', {class: `tl-bar${segment.id === selected ? ' selected' : ''}`});
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
    const {pending, frame} = this.data;
    let mark = this.edit.querySelector('.tl-pending');
    if (pending === null) mark?.remove();
    else {
      if (!mark) this.edit.append((mark = h('div', {class: 'tl-pending', 'aria-hidden': 'true'})));
      this.#place(mark, Math.min(pending, frame), Math.max(pending, frame) + 1);
    }
  }

  #place(element, start, end, view = this.view) {
    const [left, right] = [views.share(view, start), views.share(view, end)];
    element.style.setProperty('left', `${100 * left}%`);
    element.style.setProperty('width', `${100 * (right - left)}%`);
  }
}
