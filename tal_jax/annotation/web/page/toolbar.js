/** The row over the timeline: marking, undo, zoom. */

import {commandButton, h, put, set} from './dom.js';

export class Toolbar {
  /** @param {(id: string) => void} run runs a command @param {string[]} labels of the classes */
  constructor(run, labels) {
    this.labels = labels;
    const button = (id, label, drawing, kind = '') =>
      commandButton(id, run, {label, drawing, kind});
    const plain = (id, name, drawing) => commandButton(id, run, {name, drawing});
    this.absent = button('absent', labels.length > 1 ? 'Not here' : 'Action is not here', 'absent');
    this.undo = button('undo', 'Undo', 'undo');
    this.redo = button('redo', 'Redo', 'redo');
    this.element = h(
      'div',
      {class: 'toolbar', role: 'toolbar', 'aria-label': 'Marking'},
      labels.length > 1 ? (this.chosen = h('span', {class: 'chosen'})) : null,
      h(
        'div',
        {class: 'group'},
        button('begin', 'Mark start', 'begin', 'mark'),
        button('finish', 'Mark end', 'finish', 'mark'),
        plain('split', 'End here and start the next', 'split'),
        this.absent,
      ),
      h('div', {class: 'group'}, this.undo, this.redo),
      h(
        'div',
        {class: 'group push'},
        plain('zoomOut', 'Zoom out', 'zoomOut'),
        plain('zoomIn', 'Zoom in', 'zoomIn'),
        button('zoomAll', 'All', 'fit'),
        button('zoomSegment', 'Segment', 'fit'),
      ),
    );
  }

  /**
   * @param {import('./history.js').History} history
   * @param {number} active the class that new marks are of
   */
  update(history, active) {
    const {absent} = history.present[active];
    if (this.chosen) {
      this.chosen.className = `chosen class-${(active % 8) + 1}`;
      put(
        this.chosen,
        h('span', {class: 'swatch', text: String(active + 1)}),
        h('strong', {class: 'clip', text: this.labels[active], title: this.labels[active]}),
      );
    }
    set(this.absent, 'aria-pressed', absent);
    this.undo.disabled = !history.past.length;
    this.redo.disabled = !history.future.length;
  }
}
