/**
 * A visit on the screen: the editor with a lane a class, what is asked for, comment and submission;
 * its draft goes to the server as it changes, and so does its lease.
 */

import {commandButton, commentLine, h, put, say, set} from './dom.js';
import {decode, encode, markedOf, newest, randomId} from './draft.js';
import {Editor} from './editor.js';
import {clipOf, frameAt} from './frames.js';
import {instructions} from './instructions.js';
import {LeaseKeeper} from './lease.js';
import * as marking from './marks.js';
import {ask, askReason} from './notice.js';
import {SKIPPED, UNUSABLE} from './reasons.js';
import {persist, untilOnline} from './retry.js';
import {Saver} from './saver.js';
import {firstMissing, obstacle} from './sheet.js';
import * as shelf from './shelf.js';

const AWAY = 'The server cannot be reached. Your answer is kept here and sent again';
const PAGE = randomId(); // tells this window's drafts from another's

export class TaskView {
  #closed = false;

  /**
   * @param {object} task as the server sends it
   * @param {object} world
   * @param {import('./api.js').Api} world.api
   * @param {import('./notice.js').Notices} world.notices
   * @param {string} world.owner whose unsent drafts this browser may keep
   * @param {number} world.leaseSeconds
   * @param {(state: import('./saver.js').SaveState, text: string) => void} world.onSave
   * @param {(receipt: object | null, given?: object) => void} world.onDone answered or given back:
   *   what comes next? given: the submission's id and the draft of what was submitted
   * @param {boolean} world.maySkip
   */
  constructor(task, world) {
    this.task = task;
    this.world = world;
    const clip = clipOf(task.video);
    this.shelf = shelf.place(world.owner, task);
    const saved = newest(task.draft, shelf.read(this.shelf));
    const draft = saved && decode(saved.body, clip.count);
    this.submissionId = draft?.submissionId ?? randomId();
    this.comment = h('textarea', {
      id: 'comment',
      rows: 1,
      maxlength: 2000,
      class: 'input',
      placeholder: 'Comment for the organisers (optional)',
      on: {input: () => this.#changed()},
    });
    this.comment.value = draft?.comment ?? '';
    const {lanes} = task;
    this.labels = lanes.map(({label}) => label);
    this.hintFrames = lanes.map(({hint}) => (hint ? frameAt(clip, hint[0]) : 0));
    const marks = lanes.map(({id}) => {
      const marked = markedOf(draft, id);
      return marked ? marking.fromBoundaries(marked.segments, clip.count, marked) : marking.EMPTY;
    });
    this.editor = new Editor(
      {
        video: task.video,
        classes: lanes.map((lane, i) => ({...lane, marks: marks[i]})),
        active: draft?.active,
        most: task.max_segments,
        frame: draft?.frame ?? this.hintFrames[0],
      },
      world.notices,
      {submit: () => this.submit(), comment: () => this.comment.focus()},
      () => this.#changed(),
    );
    this.saver = new Saver(
      Math.max(saved?.revision ?? 0, task.draft?.revision ?? 0),
      (one) => this.#send(one),
      {onState: (state, error) => this.#onSave(state, error)},
    );
    this.lease = new LeaseKeeper(task, world.api, world.leaseSeconds, (text) =>
      this.#leaseLost(text),
    );
    this.#build(world);
    this.last = this.#encode();
    if (saved && saved !== task.draft) this.saver.change(this.last); // what did not get out before
    if (marks.some(({segments}) => segments.length) || draft?.comment) {
      world.notices.show('Your draft is back.');
    }
    this.#off = new AbortController();
    addEventListener('pagehide', () => this.#leave(), {signal: this.#off.signal});
    addEventListener('online', () => this.saver.flush().catch(() => {}), {
      signal: this.#off.signal,
    });
    document.addEventListener(
      'visibilitychange',
      () => {
        if (document.visibilityState === 'hidden') this.#leave();
      },
      {signal: this.#off.signal},
    );
    this.#onSave('saved', null);
    this.#drawSubmit();
  }

  #off;

  #build(world) {
    const run = (id) => this.editor.run(id);
    this.missing = h('p', {class: 'missing', id: 'missing'});
    this.send = commandButton('submit', run, {
      label: 'Submit',
      drawing: 'check',
      kind: 'primary wide',
    });
    this.send.setAttribute('aria-describedby', 'missing');
    this.stopButton = h('button', {
      type: 'button',
      class: 'button',
      text: 'Stop trying',
      hidden: true,
      on: {click: () => this.abort?.()},
    });
    const other = (text, title, click) =>
      h('button', {type: 'button', class: 'button small', text, title, on: {click}});
    this.skip = h(
      'div',
      {class: 'row', hidden: !world.maySkip},
      other('Later', 'Put this video off: it comes back after the others', () => this.#later()),
      other('Skip', 'Give this video back unanswered', () => this.#skip()),
      other('This video is unusable', 'Nobody can judge it', () => this.#unusable()),
    );
    const side = h(
      'aside',
      {class: 'side', 'aria-label': 'Task'},
      (this.asked = h('div', {class: 'asked-place'})),
      this.editor.list.element,
      h(
        'div',
        {class: 'answer'},
        commentLine(this.comment),
        this.missing,
        h('div', {class: 'row'}, this.send, this.stopButton),
        this.skip,
      ),
    );
    this.element = h('div', {class: 'work'}, this.editor.stage, side, this.editor.panel);
    this.#drawAsked();
  }

  /** What is said of the active class. */
  #drawAsked() {
    const {active} = this.editor.session;
    if (this.told === active) return;
    this.told = active;
    const {lanes} = this.task;
    put(
      this.asked,
      instructions(lanes[active], () => this.editor.go(this.hintFrames[active]), {
        index: active,
        count: lanes.length,
      }),
    );
  }

  /** Sends the answer, again and again while the server is away. */
  async submit() {
    if (this.abort || this.#closed) return;
    const {editor, task, world} = this;
    const {sheet} = editor.session;
    const missing = obstacle(sheet, this.labels);
    if (missing) {
      world.notices.show(missing);
      editor.session.activate(firstMissing(sheet));
      this.#drawSubmit();
      return;
    }
    await this.#deliver(
      task.lanes.map((_, i) => marking.toAnswer(sheet[i], editor.clip)),
      this.comment.value,
    );
  }

  /** @param {[number, number][][]} lanes the segments of each class @param {string} unusable why */
  async #deliver([first, ...rest], comment, unusable = '') {
    const {task, world} = this;
    const answer = {
      submission_id: this.submissionId,
      comment,
      segments: first,
      others: rest.map((segments, i) => ({task_id: task.lanes[i + 1].id, segments})),
      unusable,
    };
    const given = {submissionId: this.submissionId, task: task.id, body: this.#encode()};
    this.#lock(true);
    const stopped = new Promise((_, reject) => {
      this.abort = () => reject(Object.assign(new Error('stopped'), {stopped: true}));
    });
    try {
      // The draft goes first: with the submission's id on the server, a reload in the middle
      // sends the same submission, not a second one.
      this.saver.change(this.#encode());
      await Promise.race([
        stopped,
        this.saver.flush().catch((error) => {
          if (error.status !== 409) throw error; // an answered task takes no drafts: go on and ask
        }),
      ]);
      const wait = (milliseconds) => {
        say(this.missing, `${AWAY} in ${Math.ceil(milliseconds / 1000)} s.`);
        return Promise.race([stopped, untilOnline(milliseconds)]);
      };
      const receipt = await persist(
        () => world.api.post(`/api/tasks/${task.id}/answer`, answer),
        wait,
      );
      this.#finish();
      world.onDone(receipt, given);
    } catch (error) {
      this.abort = null;
      this.#lock(false);
      if (error.stopped) world.notices.show('Not submitted. You can go on editing.');
      else this.#refused(error);
    }
  }

  close() {
    if (this.#closed) return;
    this.#closed = true;
    this.#off.abort();
    this.lease.stop();
    this.saver.stop();
    this.editor.close();
  }

  #finish() {
    shelf.clear(this.shelf);
    this.close();
  }

  async #skip() {
    const why = await askReason(
      'Skip this video?',
      'It goes back unanswered, and you will not get it again. ' +
        'What you marked here is dropped; what you write here is kept.',
      'Skip it',
      SKIPPED,
      {value: this.comment.value, needed: false},
    );
    if (why) await this.#giveBack('skip', why, 'skipped');
  }

  /** Somebody who is at a video that nobody can judge says so, which is an answer. */
  async #unusable() {
    const why = await askReason(
      'Is this video unusable?',
      'Say so if nobody could judge it. Where most people do, it is left out: it counts neither ' +
        'as showing the action nor as not showing it. What you marked here is dropped.',
      'It is unusable',
      UNUSABLE,
      {value: this.comment.value, needed: false},
    );
    if (why && !this.abort && !this.#closed) {
      await this.#deliver(
        this.task.lanes.map(() => []),
        why.comment,
        why.reason,
      );
    }
  }

  async #later() {
    await this.saver.flush().catch(() => {});
    await this.#giveBack('later', {}, 'put off');
  }

  async #giveBack(how, body, done) {
    this.#lock(true);
    this.stopButton.hidden = true;
    say(this.missing, 'Giving the video back\u2026');
    try {
      await this.world.api.post(`/api/tasks/${this.task.id}/${how}`, body);
    } catch (error) {
      if (error.status !== 409) {
        this.#lock(false);
        this.world.notices.show(`Not ${done}: ${error.message}.`, 'bad');
        return;
      }
    }
    this.#finish();
    this.world.onDone(null, how === 'later' ? {putOff: this.task.id} : undefined);
  }

  #encode() {
    const {frame, session} = this.editor;
    const lanes = this.task.lanes.map(({id}, i) => {
      const {segments, pending, absent} = session.sheet[i];
      return [id, {segments: segments.map(({start, end}) => [start, end]), pending, absent}];
    });
    return encode({
      lanes: Object.fromEntries(lanes),
      active: session.active,
      comment: this.comment.value,
      frame,
      submissionId: this.submissionId,
      page: PAGE,
    });
  }

  #changed() {
    if (!this.saver) return; // the editor is being made
    const body = this.#encode();
    if (body !== this.last && !this.#closed) {
      this.last = body;
      this.lease.touch();
      shelf.write(this.shelf, {revision: this.saver.change(body), body});
    }
    this.#drawSubmit();
    this.#drawAsked();
  }

  async #send(saved) {
    const {kept} = await this.world.api.put(`/api/tasks/${this.task.id}/draft`, saved);
    if (kept) return true;
    // Not kept: it is there already (the first answer was lost on the way), or another's is.
    const {task} = await this.world.api.post('/api/next');
    return task?.id === this.task.id && task.draft?.body === saved.body;
  }

  #leave() {
    const {unsent} = this.saver;
    if (unsent)
      this.world.api.put(`/api/tasks/${this.task.id}/draft`, unsent, true).catch(() => {});
  }

  #onSave(state, error) {
    if (state === 'saved') shelf.clear(this.shelf);
    const texts = {
      saved: 'Draft saved',
      saving: 'Saving\u2026',
      unsaved: 'Not saved: server away, trying again',
      lost: 'Not saved',
    };
    this.world.onSave(state, texts[state]);
    if (state === 'unsaved' && this.abort) say(this.missing, AWAY);
    if (state === 'lost') this.#refused(error);
  }

  #refused(error) {
    if (error.status === 409) {
      this.#leaseLost(error.message);
    } else {
      this.world.notices.show(`Refused: ${error.message}.`, 'bad');
    }
  }

  /** The task is not this worker's any more, or another window is at it. */
  async #leaseLost(text) {
    if (this.#closed || this.asking) return;
    this.asking = true;
    this.editor.player.video.pause();
    const on = await ask(
      'This task cannot go on here',
      `The server says: ${text}.`,
      'Load what is next',
      'Stay and look',
    );
    this.asking = false;
    if (on && !this.#closed) {
      this.close();
      this.world.onDone(null);
    }
  }

  #lock(locked) {
    this.editor.lock(locked);
    this.comment.readOnly = locked;
    this.stopButton.hidden = !locked;
    this.skip.hidden = locked || !this.world.maySkip;
    this.#drawSubmit();
    if (locked) say(this.missing, 'Sending your answer\u2026');
  }

  #drawSubmit() {
    const {sheet, locked} = this.editor.session;
    const missing = obstacle(sheet, this.labels);
    set(this.send, 'aria-disabled', missing || locked ? 'true' : null);
    if (!locked) say(this.missing, missing);
  }
}
