/**
 * The answer being made: its marks with undo, the selected segment, and every edit of them.
 *
 * What is on the screen stays outside: `video` says where one is and goes where an edit happens.
 */

import {timecode, toBoundary, toSeconds} from './frames.js';
import * as histories from './history.js';
import * as marking from './marks.js';
import * as list from './segments.js';

export class Session {
  /** @type {number | null} id of a segment */
  selected = null;
  /** Nothing can be changed: an answer is on its way, or somebody else decides. */
  locked = false;
  #gesture = ''; // key of the edit under way: a drag, a key held down

  /**
   * @param {import('./frames.js').Clip} clip
   * @param {marking.Marks} marks to start from
   * @param {[number, number, number][]} suggestions start and end in seconds, score
   * @param {{here: number, playing: boolean, go: (frame: number, follow?: boolean) => void}} video
   *   here: the frame that a mark means
   * @param {import('./notice.js').Notices} notices
   * @param {{draw: () => void, changed: () => void}} on changed: the marks did
   */
  constructor(clip, marks, suggestions, video, notices, on) {
    this.clip = clip;
    this.video = video;
    this.notices = notices;
    this.on = on;
    this.history = histories.start(marks);
    this.suggestions = suggestions
      .map(([s, e, score]) => ({start: toBoundary(clip, s), end: toBoundary(clip, e), score}))
      .filter(({start, end}) => start < end);
  }

  /** @returns {marking.Marks} */
  get marks() {
    return this.history.present;
  }

  /** The selected segment. @returns {list.Segment | undefined} */
  get one() {
    return list.byId(this.marks.segments, this.selected);
  }

  /** A new state of the answer, as one step of undo; edits in a row with the same key are one. */
  change(marks, said = '', key = '') {
    if (this.locked || marks === this.marks) return;
    this.history = histories.record(this.history, marks, key);
    this.#changed(said);
  }

  undo() {
    this.#travel(histories.undo(this.history), 'Undone');
  }

  redo() {
    this.#travel(histories.redo(this.history), 'Redone');
  }

  /** @param {number | null} id @param {boolean} go to its start */
  select(id, go = true) {
    this.selected = id;
    const {one} = this;
    if (one && go) {
      this.video.go(one.start);
      const number = this.marks.segments.indexOf(one) + 1;
      this.notices.announce(`Segment ${number}, ${this.span(one.start, one.end)}`);
    }
    this.on.draw();
  }

  /** @param {1 | -1} direction */
  selectNext(direction) {
    const {segments} = this.marks;
    const found = list.neighbour(segments, this.selected, this.video.here, direction);
    if (found) this.select(found.id);
    else this.notices.announce('No more segments');
  }

  begin() {
    const at = this.video.here;
    this.change(marking.begin(this.marks, at), `Start marked at ${this.moment(at)}`);
  }

  finish() {
    const {pending, nextId} = this.marks;
    if (pending === null) {
      this.notices.show('Mark the start first (I), then the end (O).');
      return;
    }
    const at = this.video.here;
    this.change(
      marking.finish(this.marks, at, this.clip.count),
      `Segment from ${this.moment(pending)} to ${this.moment(at)}`,
    );
    this.select(nextId, false);
  }

  cancel() {
    if (this.marks.pending === null) this.select(null);
    else this.change(marking.cancel(this.marks), 'Start cancelled');
  }

  toggleAbsent() {
    const absent = !this.marks.absent;
    const lost = this.marks.segments.length;
    if (absent && lost && !this.locked) {
      this.notices.show(`${lost} segments removed. Ctrl Z brings them back.`);
    }
    const said = absent ? 'The action is not here.' : 'The action may be here.';
    this.change(marking.setAbsent(this.marks, absent), said);
  }

  /** A new segment, selected. */
  add(start, end) {
    const {nextId} = this.marks;
    const said = `Segment ${this.span(start, end)}`;
    this.change(marking.addSegment(this.marks, start, end, this.clip.count), said);
    this.select(nextId, false);
  }

  /** Takes over a suggestion: that one, or the one here or next that was not taken over yet. */
  take(index = null) {
    const {here} = this.video;
    const free = this.suggestions
      .filter(
        ({start, end}) => !this.marks.segments.some((s) => s.start === start && s.end === end),
      )
      .sort((a, b) => a.start - b.start);
    const found =
      index === null
        ? (free.find(({start, end}) => start <= here && here < end) ??
          free.find(({start}) => start > here) ??
          free[0])
        : this.suggestions[index];
    if (!found) {
      this.notices.announce('No suggestion to take over');
      return;
    }
    this.add(found.start, found.end);
    this.video.go(found.start);
  }

  /** Puts other segments, in seconds, in place of all. */
  replace(segments, said) {
    let next = {...marking.EMPTY, nextId: this.marks.nextId, absent: !segments.length};
    for (const {start, end} of marking.fromSeconds(segments, this.clip).segments) {
      next = marking.addSegment(next, start, end, this.clip.count);
    }
    this.change(next, said);
  }

  /** @param {'start' | 'end'} edge of the selected segment, to the frame here */
  setEdge(edge) {
    const to = edge === 'start' ? this.video.here : this.video.here + 1;
    this.#edit(list.setEdge(this.marks.segments, this.selected, edge, to, this.clip.count), edge);
  }

  /** Moves an edge of the selected segment by some frames. */
  nudge(edge, by) {
    const {one} = this;
    if (!one) {
      this.notices.show('Select a segment first (arrow up or down).');
      return;
    }
    this.#gesture = `nudge ${edge} ${one.id}`;
    this.#edit(
      list.setEdge(this.marks.segments, one.id, edge, one[edge] + by, this.clip.count),
      edge,
    );
  }

  /** @param {'start' | 'end' | 'all'} part of a segment, to a boundary; until `endGesture` */
  drag(id, part, boundary) {
    const {segments} = this.marks;
    const {count} = this.clip;
    this.#gesture = `drag ${part} ${id}`;
    this.#edit(
      part === 'all'
        ? list.moveTo(segments, id, boundary, count)
        : list.setEdge(segments, id, part, boundary, count),
      part,
      false,
    );
  }

  /** The drag or the key is over: what comes next is a step of its own. */
  endGesture() {
    if (this.#gesture) this.history = histories.seal(this.history);
    this.#gesture = '';
  }

  remove(id = this.selected) {
    const at = this.marks.segments.findIndex((segment) => segment.id === id);
    if (at < 0 || this.locked) return;
    const left = list.remove(this.marks.segments, id);
    this.change(marking.withSegments(this.marks, left), `Segment ${at + 1} deleted`);
    this.select(left[Math.min(at, left.length - 1)]?.id ?? null, false);
  }

  /** A frame in words. */
  moment(frame) {
    return `${timecode(frame / this.clip.fps)} (frame ${frame})`;
  }

  /** Two boundaries in words. */
  span(start, end) {
    const [from, to] = [start, end].map((boundary) => timecode(toSeconds(this.clip, boundary)));
    return `${from} to ${to}`;
  }

  /** Edits the selected segment and shows the frame at the edge that moved. */
  #edit(segments, part, follow = true) {
    this.change(marking.withSegments(this.marks, segments), '', this.#gesture);
    const {one} = this;
    if (!one) return;
    const frame = part === 'end' ? one.end - 1 : one.start;
    if (!this.video.playing) this.video.go(frame, follow);
    this.notices.announce(`${part === 'end' ? 'End' : 'Start'} ${this.moment(frame)}`);
  }

  #travel(history, said) {
    if (this.locked || history === this.history) return;
    this.history = history;
    this.#changed(`${said}. ${history.present.segments.length} segments.`);
  }

  #changed(said) {
    if (!this.one) this.selected = null;
    this.on.draw();
    if (said) this.notices.announce(said);
    this.on.changed();
  }
}
