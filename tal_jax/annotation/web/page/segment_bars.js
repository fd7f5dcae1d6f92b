/** The segments on the edit lane: bars with two sliders, their edges. */

import {h, say, set} from './dom.js';
import {timecode, toSeconds} from './frames.js';

const LARGE = 10; // frames of an arrow key with Shift

export class SegmentBars {
  /**
   * @param {Element} lane they are put into
   * @param {import('./frames.js').Clip} clip
   * @param {object} on
   * @param {(event: PointerEvent, segment: import('./segments.js').Segment,
   *   part: 'start' | 'end' | 'all') => void} on.grip a press on a bar or an edge
   * @param {(id: number, edge: 'start' | 'end', boundary: number) => void} on.edit by a key
   * @param {() => void} on.done the key was let go
   * @param {string} [label] of their class, where there are several
   */
  constructor(lane, clip, on, label = '') {
    this.lane = lane;
    this.label = label;
    this.clip = clip;
    this.on = on;
    this.known = new Map(); // id -> element: a drag and the focus need the same ones
  }

  /** @param {(element: HTMLElement, start: number, end: number) => void} place */
  draw(segments, selected, place) {
    const gone = new Set(this.known.keys());
    segments.forEach((segment, i) => {
      gone.delete(segment.id);
      const fresh = !this.known.has(segment.id);
      if (fresh) this.known.set(segment.id, this.#bar());
      const bar = this.known.get(segment.id);
      this.#update(bar, segment, i + 1, segment.id === selected);
      place(bar, segment.start, segment.end);
      if (fresh) this.lane.append(bar);
    });
    for (const id of gone) {
      this.known.get(id).remove();
      this.known.delete(id);
    }
  }

  #bar() {
    const slider = (edge) =>
      h('div', {
        class: `tl-edge ${edge}`,
        role: 'slider',
        'aria-valuemin': 0,
        'aria-valuemax': this.clip.count,
        'aria-orientation': 'horizontal',
        on: {
          pointerdown: (event) => this.on.grip(event, bar.segment, edge),
          keydown: (event) => this.#key(event, bar.segment, edge),
          keyup: () => this.on.done(),
        },
      });
    const bar = h(
      'div',
      {
        class: 'tl-segment',
        role: 'group',
        on: {pointerdown: (event) => this.on.grip(event, bar.segment, 'all')},
      },
      h('span', {class: 'tl-number', 'aria-hidden': 'true'}),
      slider('start'),
      slider('end'),
    );
    return bar;
  }

  #update(bar, segment, number, selected) {
    bar.segment = segment;
    bar.classList.toggle('selected', selected);
    const times = {
      start: timecode(toSeconds(this.clip, segment.start)),
      end: timecode(toSeconds(this.clip, segment.end)),
    };
    const name = this.label ? `${this.label}, segment ${number}` : `segment ${number}`;
    set(bar, 'aria-label', `${name.replace(/^s/, 'S')}, ${times.start} to ${times.end}`);
    say(bar.querySelector('.tl-number'), String(number));
    for (const edge of ['start', 'end']) {
      const slider = bar.querySelector(`.tl-edge.${edge}`);
      set(slider, 'aria-label', `${edge === 'start' ? 'Start' : 'End'} of ${name}`);
      set(slider, 'aria-valuenow', segment[edge]);
      set(
        slider,
        'aria-valuetext',
        `${times[edge]}, frame ${edge === 'start' ? segment.start : segment.end - 1}`,
      );
      set(slider, 'tabindex', selected ? 0 : -1);
    }
  }

  #key(event, segment, edge) {
    const by = event.shiftKey ? LARGE : 1;
    const to = {
      ArrowLeft: segment[edge] - by,
      ArrowRight: segment[edge] + by,
      Home: 0,
      End: this.clip.count,
    }[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    this.on.edit(segment.id, edge, to);
  }
}
