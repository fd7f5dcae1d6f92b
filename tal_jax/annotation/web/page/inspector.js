/** The selected segment: its edges in time and frames, and buttons that move them. */

import {commandButton, h, say, set} from './dom.js';
import {timecode, toSeconds} from './frames.js';

export class Inspector {
  /** @param {import('./frames.js').Clip} clip @param {(id: string) => void} run runs a command */
  constructor(clip, run) {
    this.clip = clip;
    this.name = h('strong', {class: 'inspected'});
    this.edges = {start: h('output'), end: h('output')};
    const button = ([id, label, title]) => {
      const made = commandButton(id, run, {label, kind: 'small'});
      made.setAttribute('aria-label', `${label}: ${title}`);
      return made;
    };
    const edge = (name, label, ids) =>
      h(
        'div',
        {class: 'edge', role: 'group', 'aria-label': label},
        h('span', {class: 'label', text: label}),
        this.edges[name],
        ...ids.map(button),
      );
    this.element = h(
      'div',
      {class: 'inspector', role: 'group', 'aria-label': 'Selected segment'},
      this.name,
      edge('start', 'Start', [
        ['startBack', '\u22121', 'start one frame earlier'],
        ['startForward', '+1', 'start one frame later'],
        ['setStart', 'Here', 'start at this frame'],
      ]),
      edge('end', 'End', [
        ['endBack', '\u22121', 'end one frame earlier'],
        ['endForward', '+1', 'end one frame later'],
        ['setEnd', 'Here', 'end at this frame'],
      ]),
      commandButton('remove', run, {label: 'Delete', drawing: 'remove', kind: 'small push'}),
    );
  }

  /**
   * @param {import('./segments.js').Segment[]} segments
   * @param {number | null} selected
   * @param {string} label of their class, where there are several
   */
  update(segments, selected, label = '') {
    const at = segments.findIndex(({id}) => id === selected);
    const one = segments[at];
    for (const button of this.element.querySelectorAll('button')) button.disabled = !one;
    say(this.name, one ? `${label ? `${label}, segment` : 'Segment'} ${at + 1}` : 'No segment selected');
    set(this.name, 'title', one && label ? `${label}, segment ${at + 1}` : null);
    say(this.edges.start, one ? this.#edge(one.start, one.start) : '\u2013');
    say(this.edges.end, one ? this.#edge(one.end, one.end - 1) : '\u2013');
  }

  #edge(boundary, frame) {
    return `${timecode(toSeconds(this.clip, boundary))}   frame ${frame}`;
  }
}
