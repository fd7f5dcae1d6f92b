/**
 * Marking segments in one video: player, timeline and list, held together by a session (what is
 * marked) and by the commands of the keyboard map.
 *
 * The page that uses it places `stage`, `panel` and `list.element`, and has its own commands.
 */

import {here} from './api.js';
import {h, say} from './dom.js';
import {Filmstrip} from './filmstrip.js';
import {clipOf, frameOfTime, parseTime, toBoundary} from './frames.js';
import {showHelp} from './help.js';
import {Inspector} from './inspector.js';
import {listen} from './keyboard.js';
import {Player} from './player.js';
import {prefer, preferences} from './preferences.js';
import {SegmentList} from './segment_list.js';
import {Session} from './session.js';
import {Timeline} from './timeline.js';
import {Toolbar} from './toolbar.js';
import {Transport} from './transport.js';
import * as views from './view.js';

const ZOOM = 1.5; // a press of a key

/**
 * @typedef {object} Class
 * @property {string} label
 * @property {import('./marks.js').Marks} marks to start from
 * @property {[number, number] | null} hint seconds
 * @property {[number, number, number][]} suggestions start, end in seconds, score
 */

/** @returns {Class} of a task that has one class, and does not name it */
const oneOf = ({marks, hint = null, suggestions = []}) => ({label: '', marks, hint, suggestions});

export class Editor {
  #off = new AbortController();

  /**
   * @param {object} task
   * @param {{url: string, duration: number, fps: number, num_frames: number, sound: boolean}}
   *   task.video
   * @param {Class[]} task.classes of which segments are marked
   * @param {number} [task.active] index of the class that new marks are of
   * @param {number} [task.frame] to start at
   * @param {number} [task.most] segments that an answer may have
   * @param {import('./timeline.js').Lane[]} [task.lanes] more lanes, read-only
   * @param {string} [task.editName] what the lane of a single class is called
   * @param {import('./notice.js').Notices} notices
   * @param {Record<string, () => void>} commands the page's own
   * @param {() => void} onChange the marks changed, or the frame while paused
   */
  constructor(task, notices, commands, onChange) {
    const {video, frame = 0, active = 0, lanes = [], editName = 'Your answer'} = task;
    const {most = Infinity} = task;
    const classes = task.classes ?? [oneOf(task)];
    const run = (id) => this.run(id);
    this.clip = clipOf(video);
    this.notices = notices;
    this.onChange = onChange;
    this.looping = false;
    this.commands = {...this.#own(video.sound), ...commands};
    this.session = new Session(this.clip, classes, this, notices, {
      draw: () => this.#draw(),
      changed: onChange,
    });
    this.session.active = Math.min(active, classes.length - 1);
    this.session.most = most;
    const {labels, several} = this.session;
    this.hints = classes.map(({hint}) => hint && hint.map((t) => toBoundary(this.clip, t)));
    this.#chooseByKey();
    this.#buildStage(here(video.url), video.sound, run);
    this.#buildPanel(several ? labels : [editName], run);
    this.setLanes(lanes);
    this.list = new SegmentList(
      this.clip,
      {
        remove: (id, lane) => this.session.remove(id, lane),
        select: (id, at, lane) => {
          this.session.select(id, false, lane);
          this.go(at);
        },
      },
      labels,
    );
    this.player = new Player(this.screen, this.clip, {
      frame: (at) => this.#moved(at),
      state: () => {
        prefer({rate: this.screen.playbackRate, muted: this.screen.muted});
        this.#drawVideo();
      },
    });
    this.film = new Filmstrip(this.timeline, here(video.url));
    this.timeline.update({frame});
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

  /** Those of the active class. @returns {import('./marks.js').Marks} */
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
  setLanes(lanes = this.lanes) {
    this.lanes = lanes;
    this.suggests = this.session.active;
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
  #own(sound) {
    const large = () => this.transport.large;
    const step =
      (sign, frames = () => 1) =>
      () =>
        this.player.step(sign * frames());
    const jump = (seconds) => () => {
      const frames = Math.max(1, Math.round(Math.abs(seconds) * this.clip.fps));
      this.go(this.player.aim + Math.sign(seconds) * frames);
    };
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
      secondBack: jump(-1),
      secondForward: jump(1),
      tenBack: jump(-10),
      tenForward: jump(10),
      goTo: () => this.transport.goTo.focus(),
      first: () => this.go(0),
      last: () => this.go(this.clip.count - 1),
      slower: () => this.player.rate(-1),
      faster: () => this.player.rate(1),
      normal: () => this.player.rate(0),
      ...(sound ? {mute: () => this.#mute()} : {}),
      begin: () => this.session.begin(),
      finish: () => this.session.finish(),
      split: () => this.session.split(),
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
      help: () => this.#help(),
    };
  }

  #buildStage(url, sound, run) {
    this.screen = h('video', {
      src: url,
      preload: 'auto',
      playsinline: true,
      'aria-label': 'The video',
      on: {click: () => run('play')},
    });
    const {rate, muted} = preferences();
    Object.assign(this.screen, {defaultPlaybackRate: rate, playbackRate: rate, muted});
    this.flag = h('div', {class: 'flag', hidden: true});
    this.trouble = h('div', {class: 'trouble', hidden: true, role: 'status'});
    this.transport = new Transport(this.clip, sound, {
      run,
      rate: (faster) => {
        this.screen.playbackRate = faster;
      },
      time: (typed) => this.#goToTime(typed),
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

  /** The numbers choose a class; with a single one, 1 is the normal speed. */
  #chooseByKey() {
    const {session, commands} = this;
    if (!session.several) commands.class1 = commands.normal;
    else
      session.labels
        .slice(0, 9)
        .forEach((_, i) => (commands[`class${i + 1}`] = () => session.activate(i)));
  }

  #buildPanel(names, run) {
    this.timeline = new Timeline(
      this.clip,
      {
        seek: (at) => this.go(at, false),
        select: (id, lane) => this.session.select(id, false, lane),
        edit: (id, part, boundary, lane) => this.session.drag(id, part, boundary, lane),
        done: () => this.session.endGesture(),
        draw: (start, end, lane) => this.session.add(start, end, lane),
        take: (_, index) => this.session.take(index),
        choose: (lane) => this.session.activate(lane),
        absent: (lane) => this.session.toggleAbsent(lane),
      },
      names,
    );
    this.inspector = new Inspector(this.clip, run);
    this.toolbar = new Toolbar(run, this.session.labels);
    this.panel = h(
      'section',
      {class: 'panel', 'aria-label': 'Timeline and marking'},
      this.toolbar.element,
      this.inspector.element,
      this.timeline.element,
    );
  }

  #help() {
    const known = new Set(Object.keys(this.commands));
    if (!this.session.several) known.delete('class1');
    showHelp(known);
  }

  #mute() {
    this.screen.muted = !this.screen.muted;
  }

  /** @param {string} typed a time */
  #goToTime(typed) {
    const seconds = parseTime(typed);
    if (seconds === null) {
      this.notices.show('That is no time: write seconds, m:ss or h:mm:ss, for example 1:05.2.');
      return false;
    }
    this.go(frameOfTime(this.clip, seconds));
    this.focus();
    return true;
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
    const {sheet, active, marks, selected, one, history, several, labels} = this.session;
    const {segments, pending} = marks;
    this.looping &&= Boolean(one);
    this.player.loop = this.looping ? {start: one.start, end: one.end} : null;
    if (this.suggests !== active && this.session.suggested.some((of) => of.length)) this.setLanes();
    this.timeline.update({sheet, active, selected, hint: this.hints[active]});
    this.list.update(sheet, active, selected);
    this.inspector.update(segments, selected, several ? labels[active] : '');
    this.toolbar.update(history, active);
    this.flag.hidden = pending === null;
    say(
      this.flag,
      pending === null
        ? ''
        : `${several ? `${labels[active]}, segment` : 'Segment'} from ` +
            `${this.session.moment(pending)}: mark the end (O)`,
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
