/** The row over the timeline: marking, undo, zoom. */

import {commandButton, h, set} from './dom.js';

export class Toolbar {
  /** @param {(id: string) => void} run runs a command */
  constructor(run) {
    const button = (id, label, drawing, kind = '') =>
      commandButton(id, run, {label, drawing, kind});
    const plain = (id, name, drawing) => commandButton(id, run, {name, drawing});
    this.absent = button('absent', 'Action is not here', 'absent');
    this.undo = button('undo', 'Undo', 'undo');
    this.redo = button('redo', 'Redo', 'redo');
    this.element = h(
      'div',
      {class: 'toolbar', role: 'toolbar', 'aria-label': 'Marking'},
      h(
        'div',
        {class: 'group'},
        button('begin', 'Mark start', 'begin', 'mark'),
        button('finish', 'Mark end', 'finish', 'mark'),
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

  /** @param {import('./history.js').History} history @param {boolean} absent */
  update(history, absent) {
    set(this.absent, 'aria-pressed', absent);
    this.undo.disabled = !history.past.length;
    this.redo.disabled = !history.future.length;
  }
}
