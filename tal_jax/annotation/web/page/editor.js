/**
 * Marking segments in one video: player, timeline and list, held together by a session (what is
 * marked) and by the commands of the keyboard map.
 *
 * The page that uses it places `stage`, `panel` and `list.element`, and has its own commands.
 */

import {h, say} from './dom.js';
import {Filmstrip} from './filmstrip.js';
import {clipOf, toBoundary} from './frames.js';
import {showHelp} from './help.js';
import {Inspector} from './inspector.js';
import {listen} from './keyboard.js';
import {Player} from './player.js';
import {SegmentList} from './segment_list.js';
import {Session} from './session.js';
import {Timeline} from './timeline.js';
import {Toolbar} from './toolbar.js';
import {Transport} from './transport.js';
import * as views from './view.js';

const ZOOM = 1.5; // a press of a key

export class Editor {
  #off = new AbortController();

  /**
   * @param {object} task
   * @param {{url: string, duration: number, fps: number, num_frames: number}} task.video
   * @param {import('./marks.js').Marks} task.marks to start from
   * @param {number} [task.frame] to start at
   * @param {[number, number] | null} [task.hint] seconds
   * @param {[number, number, number][]} [task.suggestions] start, end in seconds, score
   * @param {import('./timeline.js').Lane[]} [task.lanes] more lanes, read-only
   * @param {string} [task.editName] what the lane is called that is edited
   * @param {import('./notice.js').Notices} notices
   * @param {Record<string, () => void>} commands the page's own
   * @param {() => void} onChange the marks changed, or the frame while paused
   */
  constructor(task, notices, commands, onChange) {
    const {video, marks, frame = 0, hint = null, suggestions = [], lanes = [], editName} = task;
    const run = (id) => this.run(id);
    this.clip = clipOf(video);
    this.notices = notices;
    this.onChange = onChange;
    this.looping = false;
    this.commands = {...this.#own(), ...commands};
    this.session = new Session(this.clip, marks, suggestions, this, notices, {
      draw: () => this.#draw(),
      changed: onChange,
    });
    this.#buildStage(video.url, run);
    this.#buildPanel(editName, run);
    this.setLanes(lanes);
    this.list = new SegmentList(this.clip, {
      remove: (id) => this.session.remove(id),
      select: (id, at) => {
        this.session.select(id, false);
        this.go(at);
      },
    });
    this.player = new Player(this.screen, this.clip, {
      frame: (at) => this.#moved(at),
      state: () => this.#drawVideo(),
    });
    this.film = new Filmstrip(this.timeline, video.url);
    this.timeline.update({hint: hint && hint.map((t) => toBoundary(this.clip, t)), frame});
    this.player.seek(frame);
    listen(
      run,
      () => this.focus(),
      () => this.session.endGesture(),
      this.#off.signal,
    );
    // A button that was clicked gives the focus back: Space plays, and does not click again.
    for (const part of [this.stage, this.panel, this.list.element]) {
      part.addEventListener('click', ({detail, target}) => {
        if (detail > 0 && target.closest('button')) this.focus();
      });
    }
    this.#draw();
    this.#drawVideo();
  }

  /** @returns {import('./marks.js').Marks} */
  get marks() {
    return this.session.marks;
  }

  /** The frame on the screen, or on its way there. */
  get frame() {
    return this.player.aim;
  }

  get playing() {
    return this.player.playing;
  }

  /** What a mark means: while playing, the frame on the screen; else the one steps lead to. */
  get here() {
    return this.playing ? this.player.frame : this.player.aim;
  }

  /** Goes to the nearest frame without stopping the video. @param {boolean} follow scroll there */
  go(frame, follow = true) {
    const arrived = this.player.seek(frame);
    if (follow) arrived.then(() => this.timeline.moveTo(this.player.frame, true));
  }

  focus() {
    this.stage.querySelector('.screen').focus({preventScroll: true});
  }

  /** @param {boolean} locked nothing can be changed */
  lock(locked) {
    this.session.locked = locked;
    this.panel.classList.toggle('locked', locked);
    this.list.element.classList.toggle('locked', locked);
  }

  /** @param {import('./timeline.js').Lane[]} lanes */
  setLanes(lanes) {
    const spans = this.session.suggestions.map(({start, end, score}) => {
      const title = `Take over ${this.session.span(start, end)}, score ${score.toFixed(2)}`;
      return {start, end, score, title};
    });
    const action = {label: 'Take T', run: () => this.run('take')};
    const model = {id: 'model', name: 'Suggestions', kind: 'suggestion', spans, action};
    this.timeline.setLanes(spans.length ? [model, ...lanes] : lanes);
  }

  /** Runs a command of the keyboard map. @returns {boolean} whether there is such a one */
  run(id) {
    const command = this.commands[id];
    command?.();
    return Boolean(command);
  }

  close() {
    this.#off.abort();
    this.film.close();
    this.timeline.close();
    this.player.close();
  }

  /** The commands that every page with an editor has. */
  #own() {
    const large = () => this.transport.large;
    const step =
      (sign, frames = () => 1) =>
      () =>
        this.player.step(sign * frames());
    const nudge =
      (edge, sign, frames = () => 1) =>
      () =>
        this.session.nudge(edge, sign * frames());
    return {
      play: () => this.player.toggle(),
      back: step(-1),
      forward: step(1),
      backMany: step(-1, large),
      forwardMany: step(1, large),
      first: () => this.go(0),
      last: () => this.go(this.clip.count - 1),
      slower: () => this.player.rate(-1),
      faster: () => this.player.rate(1),
      normal: () => this.player.rate(0),
      mute: () => {
        this.screen.muted = !this.screen.muted;
      },
      begin: () => this.session.begin(),
      finish: () => this.session.finish(),
      cancel: () => this.session.cancel(),
      absent: () => this.session.toggleAbsent(),
      take: () => this.session.take(),
      previous: () => this.session.selectNext(-1),
      next: () => this.session.selectNext(1),
      setStart: () => this.session.setEdge('start'),
      setEnd: () => this.session.setEdge('end'),
      startBack: nudge('start', -1),
      startForward: nudge('start', 1),
      endBack: nudge('end', -1),
      endForward: nudge('end', 1),
      startBackMany: nudge('start', -1, large),
      startForwardMany: nudge('start', 1, large),
      endBackMany: nudge('end', -1, large),
      endForwardMany: nudge('end', 1, large),
      loop: () => this.#loop(),
      remove: () => this.session.remove(),
      undo: () => this.session.undo(),
      redo: () => this.session.redo(),
      zoomIn: () => this.timeline.zoom(ZOOM),
      zoomOut: () => this.timeline.zoom(1 / ZOOM),
      zoomAll: () => this.timeline.show(views.whole(this.clip.count)),
      zoomSegment: () => this.#zoomSegment(),
      help: () => showHelp(new Set(Object.keys(this.commands))),
    };
  }

  #buildStage(url, run) {
    this.screen = h('video', {
      src: url,
      preload: 'auto',
      playsinline: true,
      'aria-label': 'The video',
      on: {click: () => run('play')},
    });
    this.flag = h('div', {class: 'flag', hidden: true});
    this.trouble = h('div', {class: 'trouble', hidden: true, role: 'status'});
    this.transport = new Transport(this.clip, run, (rate) => {
      this.screen.playbackRate = rate;
    });
    const label =
      'Video. Space plays, arrow keys step, I and O mark a segment, ' +
      'question mark lists all keys.';
    this.stage = h(
      'div',
      {class: 'stage'},
      h(
        'div',
        {class: 'screen', tabindex: 0, role: 'group', 'aria-label': label},
        this.screen,
        this.flag,
        this.trouble,
      ),
      this.transport.element,
    );
  }

  #buildPanel(editName, run) {
    this.timeline = new Timeline(
      this.clip,
      {
        seek: (at) => this.go(at, false),
        select: (id) => this.session.select(id, false),
        edit: (id, part, boundary) => this.session.drag(id, part, boundary),
        done: () => this.session.endGesture(),
        draw: (start, end) => this.session.add(start, end),
        take: (_, index) => this.session.take(index),
      },
      editName,
    );
    this.inspector = new Inspector(this.clip, run);
    this.toolbar = new Toolbar(run);
    this.panel = h(
      'section',
      {class: 'panel', 'aria-label': 'Timeline and marking'},
      this.toolbar.element,
      this.inspector.element,
      this.timeline.element,
    );
  }

  #loop() {
    const {one} = this.session;
    this.looping = !this.looping && Boolean(one);
    if (!one) this.notices.show('Select a segment to play it in a loop.');
    this.#draw();
    this.#drawVideo();
    if (this.looping) this.player.seek(one.start).then(() => this.player.play());
  }

  #zoomSegment() {
    const {one} = this.session;
    if (one) this.timeline.show(views.around(this.timeline.view, one.start, one.end));
    else this.notices.announce('Select a segment first');
  }

  #moved(frame) {
    this.timeline.moveTo(frame, this.playing);
    this.transport.moveTo(frame);
    if (!this.playing) this.onChange();
  }

  #draw() {
    const {marks, selected, one, history} = this.session;
    const {segments, pending, absent} = marks;
    this.looping &&= Boolean(one);
    this.player.loop = this.looping ? {start: one.start, end: one.end} : null;
    this.timeline.update({segments, selected, pending});
    this.list.update(marks, selected);
    this.inspector.update(segments, selected);
    this.toolbar.update(history, absent);
    this.flag.hidden = pending === null;
    say(
      this.flag,
      pending === null ? '' : `Segment from ${this.session.moment(pending)}: mark the end (O)`,
    );
  }

  #drawVideo() {
    this.transport.update(this.player, this.looping);
    const {error, readyState, networkState} = this.screen;
    this.trouble.hidden = !error && readyState >= HTMLMediaElement.HAVE_CURRENT_DATA;
    say(
      this.trouble,
      error
        ? 'The video cannot be played here. Reload the page; if it stays so, skip the task.'
        : networkState === HTMLMediaElement.NETWORK_LOADING
          ? 'Loading the video\u2026'
          : '',
    );
  }
}
