/**
 * The answers being made to the classes of a video: their marks with undo, the active class, which
 * new marks are of, the selected segment, which is of it, and every edit.
 *
 * What is on the screen stays outside: `video` says where one is and goes where an edit happens.
 */

import {count} from './format.js';
import {timecode, toBoundary, toSeconds} from './frames.js';
import * as histories from './history.js';
import * as marking from './marks.js';
import * as list from './segments.js';
import * as sheets from './sheet.js';

/** @typedef {{label: string, marks: marking.Marks, suggestions: [number, number, number][]}} Class
 *   marks: to start from; suggestions: start and end in seconds, score */

export class Session {
  /** @type {number | null} id of a segment of the active class */
  selected = null;
  /** Index of the class that new marks are of. */
  active = 0;
  /** Nothing can be changed: an answer is on its way, or somebody else decides. */
  locked = false;
  /** Segments that an answer may have. */
  most = Infinity;
  #gesture = ''; // key of the edit under way: a drag, a key held down

  /**
   * @param {import('./frames.js').Clip} clip
   * @param {Class[]} classes
   * @param {{here: number, playing: boolean, go: (frame: number, follow?: boolean) => void}} video
   *   here: the frame that a mark means
   * @param {import('./notice.js').Notices} notices
   * @param {{draw: () => void, changed: () => void}} on changed: the marks did
   */
  constructor(clip, classes, video, notices, on) {
    this.clip = clip;
    this.video = video;
    this.notices = notices;
    this.on = on;
    this.labels = classes.map(({label}) => label);
    this.history = histories.start(classes.map(({marks}) => marks));
    this.suggested = classes.map(({suggestions}) =>
      suggestions
        .map(([s, e, score]) => ({start: toBoundary(clip, s), end: toBoundary(clip, e), score}))
        .filter(({start, end}) => start < end),
    );
  }

  /** @returns {sheets.Sheet} */
  get sheet() {
    return this.history.present;
  }

  /** Those of the active class. @returns {marking.Marks} */
  get marks() {
    return this.sheet[this.active];
  }

  /** Those of the active class, at boundaries. */
  get suggestions() {
    return this.suggested[this.active];
  }

  get several() {
    return this.labels.length > 1;
  }

  /** New marks are of this class from now on. */
  activate(lane, said = true) {
    if (lane === this.active || lane >= this.labels.length) return;
    this.endGesture();
    this.active = lane;
    this.selected = null;
    this.on.draw();
    this.on.changed();
    if (said) this.notices.announce(`Class ${lane + 1}, ${this.labels[lane]}`);
  }

  /** The selected segment. @returns {list.Segment | undefined} */
  get one() {
    return list.byId(this.marks.segments, this.selected);
  }

  /** A new state of the answer, as one step of undo; edits in a row with the same key are one. */
  change(marks, said = '', key = '') {
    if (this.locked || marks === this.marks || this.#full(marks)) return;
    const sheet = sheets.replace(this.sheet, this.active, marks);
    this.history = histories.record(this.history, sheet, key && `${this.active} ${key}`);
    this.#changed(said);
  }

  undo() {
    this.#travel(histories.undo(this.history), 'Undone');
  }

  redo() {
    this.#travel(histories.redo(this.history), 'Redone');
  }

  /** @param {number | null} id of the class `lane` @param {boolean} go to its start */
  select(id, go = true, lane = this.active) {
    this.activate(lane, false);
    this.selected = id;
    const {one} = this;
    if (one && go) {
      this.video.go(one.start);
      const number = this.marks.segments.indexOf(one) + 1;
      this.notices.announce(this.#of(`Segment ${number}, ${this.span(one.start, one.end)}`));
    }
    this.on.draw();
  }

  /** @param {1 | -1} direction */
  selectNext(direction) {
    const found = list.neighbour(
      sheets.spread(this.sheet),
      sheets.idOf(this.active, this.selected),
      this.video.here,
      direction,
    );
    if (found) this.select(found.segment.id, true, found.lane);
    else this.notices.announce('No more segments');
  }

  /** Marks a start; where the selected segment ends, at the frame after it: they do not overlap. */
  begin() {
    const {here} = this.video;
    const at = this.one?.end === here + 1 ? Math.min(here + 1, this.clip.count - 1) : here;
    this.change(marking.begin(this.marks, at), `Start marked at ${this.moment(at)}`);
    if (at !== here && !this.video.playing) this.video.go(at);
  }

  /** Ends a segment here, and begins the next with the frame after it. */
  split() {
    const {pending, nextId} = this.marks;
    const {here} = this.video;
    if (pending === null || Math.max(pending, here) + 1 >= this.clip.count) {
      this.finish();
      return;
    }
    const next = marking.split(this.marks, here, this.clip.count);
    const said = `Segment from ${this.moment(pending)} to ${this.moment(here)}, and the next begun`;
    this.change(next, said);
    this.select(nextId, false);
    if (!this.video.playing) this.video.go(next.pending);
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

  toggleAbsent(lane = this.active) {
    this.activate(lane, false);
    const absent = !this.marks.absent;
    const lost = this.marks.segments.length;
    if (absent && lost && !this.locked) {
      this.notices.show(`${count(lost, 'segment')} removed. Ctrl Z brings back what was there.`);
    }
    const said = absent ? 'The action is not here.' : 'The action may be here.';
    this.change(marking.setAbsent(this.marks, absent), said);
  }

  /** A new segment, selected. */
  add(start, end, lane = this.active) {
    this.activate(lane, false);
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

  /** Puts other segments, in seconds, in place of all of the active class. */
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
  drag(id, part, boundary, lane = this.active) {
    this.activate(lane, false);
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

  remove(id = this.selected, lane = this.active) {
    this.activate(lane, false);
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

  /** Whether these are more segments than an answer may have; that it now has all is told, too. */
  #full({segments}) {
    const [before, after] = [this.marks.segments.length, segments.length];
    if (after <= before || after < this.most) return false;
    this.notices.show(
      after === this.most
        ? `This is segment ${after}: an answer can have no more.`
        : `Not added: an answer can have ${this.most} segments and no more.`,
    );
    return after > this.most;
  }

  /** What is said of the active class. */
  #of(said) {
    return this.several && said ? `${this.labels[this.active]}: ${said}` : said;
  }

  #travel(history, said) {
    if (this.locked || history === this.history) return;
    const lane = sheets.changed(this.sheet, history.present);
    this.history = history;
    if (lane >= 0) this.activate(lane, false);
    this.#changed(`${said}. ${this.marks.segments.length} segments.`);
  }

  #changed(said) {
    if (!this.one) this.selected = null;
    this.on.draw();
    if (said) this.notices.announce(this.#of(said));
    this.on.changed();
  }
}
