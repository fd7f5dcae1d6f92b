/**
 * One task for an operator: every annotator's answer as a lane, and the final answer to be edited.
 */

import {h, put, set} from './dom.js';
import {Editor} from './editor.js';
import {clipOf, timecode, toBoundary} from './frames.js';
import {count, moment, percent} from './format.js';
import * as marking from './marks.js';
import {ask, askReason} from './notice.js';
import {badge} from './table.js';

const DECIDED = ['agreed', 'adjudicated'];

/** An answer in words. */
const said = ({segments, unusable, version, counts}) =>
  (unusable
    ? `unusable: ${unusable}`
    : segments.length
      ? count(segments.length, 'segment')
      : 'not here') +
  (version > 1 ? `, version ${version}` : '') +
  (counts ? '' : ', does not count');

/** What is to be known of an answer beside its segments. */
const mark = ({agrees, counts, unusable}) =>
  (agrees ? ' \u2713' : '') + (counts ? '' : ' (does not count)') + (unusable ? ' (unusable)' : '');

export class Review {
  #editor = null;
  #saved = '';
  #off = new AbortController();

  /**
   * @param {{api: import('./api.js').Api, notices: object, go: (where: object) => void}} world
   * @param {number} id of the task
   */
  constructor(world, id) {
    this.world = world;
    this.id = id;
    this.element = h('div', {class: 'review'});
    addEventListener(
      'beforeunload',
      (event) => {
        if (this.#dirty) event.preventDefault();
      },
      {signal: this.#off.signal},
    );
  }

  async load() {
    try {
      this.#show(await this.world.api.get(`/api/tasks/${this.id}`));
    } catch (error) {
      put(
        this.element,
        h(
          'section',
          {class: 'card message'},
          h('h1', {text: 'This task cannot be shown'}),
          h('p', {text: error.message}),
        ),
      );
    }
  }

  /** @returns {boolean} whether nothing would be lost, or the operator lets it go */
  mayLeave() {
    return !this.#dirty || confirm('The final answer was changed and not saved. Leave it?');
  }

  close() {
    this.#off.abort();
    this.#editor?.close();
    this.#editor = null;
  }

  get #dirty() {
    return this.#editor !== null && this.#now() !== this.#saved;
  }

  #now() {
    return JSON.stringify(marking.toAnswer(this.#editor.marks, this.#editor.clip));
  }

  #show(found) {
    this.#editor?.close();
    const {task, state, final, answers, agreed} = found;
    // A dispute starts from what those who agree say together.
    const start = state === 'disputed' ? agreed : final.map(({start: s, end}) => [s, end]);
    const clip = clipOf(task.video);
    this.found = found;
    const spans = (segments, who) =>
      segments.map(([s, e]) => ({
        start: s * clip.fps,
        end: e * clip.fps,
        title: `${who}: ${timecode(s)} to ${timecode(e)}`,
      }));
    this.#editor = new Editor(
      {
        video: task.video,
        hint: task.hint,
        suggestions: task.suggestions,
        editName: 'Final answer',
        most: task.max_segments,
        marks: marking.fromSeconds(start, clip),
        frame: Math.min(
          toBoundary(clip, start[0]?.[0] ?? answers[0]?.segments[0]?.[0] ?? task.hint?.[0] ?? 0),
          clip.count - 1,
        ),
        lanes: answers.map((answer, i) => ({
          id: `answer${i}`,
          name: `${answer.worker}${mark(answer)}`,
          kind: 'answer',
          spans: spans(answer.segments, answer.worker),
          action: this.#editable ? {label: 'Copy', run: () => this.#copy(answer)} : null,
        })),
      },
      this.world.notices,
      this.#editable ? {submit: () => this.#save()} : {},
      () => this.#draw(),
    );
    if (!this.#editable) this.#editor.lock(true);
    this.#saved = this.#now();
    this.#side(found, DECIDED.includes(state));
    put(this.element, this.#editor.stage, this.side, this.#editor.panel);
    this.#editor.focus();
    this.#draw();
  }

  /** Open tasks are the annotators' until somebody takes them out of the queue. */
  get #editable() {
    return [...DECIDED, 'disputed'].includes(this.found.state);
  }

  #side(found, decided) {
    const {task, state, agreement, final, answers, events, excluded, wanted} = found;
    this.send = h(
      'button',
      {type: 'button', class: 'button primary wide', on: {click: () => this.#save()}},
      h('span', {text: decided ? 'Save correction' : 'Decide'}),
      h('kbd', {'aria-hidden': 'true', text: 'Ctrl Enter'}),
    );
    this.reset = h('button', {
      type: 'button',
      class: 'button',
      text: 'Revert',
      on: {click: () => this.#show(this.found)},
    });
    const decision = final.length
      ? `${count(final.length, 'segment')} by ${final[0].source}`
      : decided
        ? 'the action is not here'
        : 'none yet';
    this.side = h(
      'aside',
      {class: 'side', 'aria-label': 'Task'},
      h(
        'div',
        {},
        h('p', {class: 'eyebrow', text: task.video.name}),
        h('div', {class: 'row between'}, h('h1', {text: task.label}), badge(state)),
        h('p', {
          class: 'muted facts',
          text:
            `${count(answers.length, 'answer')} of ${wanted} wanted, ` +
            `agreement ${percent(agreement)}. Final answer: ${decision}.`,
        }),
      ),
      h(
        'div',
        {class: 'middle', tabindex: -1},
        this.#editor.list.element,
        h(
          'details',
          {open: answers.some(({comment}) => comment)},
          h('summary', {text: 'Answers and comments'}),
          h(
            'ul',
            {class: 'list answers'},
            ...answers.map((answer) =>
              h(
                'li',
                {},
                h('strong', {text: answer.worker}),
                ` ${said(answer)}, ${moment(answer.submitted_at)}`,
                answer.comment ? h('p', {class: 'pre comment', text: answer.comment}) : null,
              ),
            ),
          ),
        ),
        h(
          'details',
          {},
          h('summary', {text: 'What happened'}),
          h(
            'ol',
            {class: 'list events'},
            ...events.map(({at, kind, worker}) =>
              h(
                'li',
                {},
                h('span', {class: 'muted', text: moment(at)}),
                ` ${kind}`,
                worker ? ` by ${worker}` : '',
              ),
            ),
          ),
        ),
      ),
      this.#more(found),
      this.#editable
        ? h('div', {class: 'row'}, this.send, this.reset)
        : h(
            'div',
            {class: 'stack'},
            h('p', {
              class: 'muted',
              text: excluded
                ? `Left out: ${excluded}.`
                : state === 'leased'
                  ? 'Annotators are at it: it can be decided when they are done.'
                  : 'Open for annotators. Take it out of the queue to decide it yourself.',
            }),
            state === 'open'
              ? h('button', {
                  type: 'button',
                  class: 'button',
                  text: 'Take out of the queue',
                  on: {click: () => this.#dispute()},
                })
              : null,
          ),
    );
  }

  /** Ways out for a task that should not be decided as it stands. */
  #more({state, excluded}) {
    const button = (text, run, kind = '') =>
      h('button', {type: 'button', class: `button small ${kind}`, text, on: {click: run}});
    if (excluded) return button('Include this video again', () => this.#include());
    return h(
      'div',
      {class: 'row'},
      [...DECIDED, 'disputed'].includes(state)
        ? button('Ask again', () => this.#askAgain())
        : null,
      button('Exclude this video', () => this.#exclude(), 'danger'),
    );
  }

  async #askAgain() {
    const more = h('input', {
      id: 'ask-more',
      class: 'input days',
      type: 'number',
      min: 1,
      max: 20,
      value: 1,
      required: true,
    });
    const yes = await ask(
      'Ask the annotators again?',
      'The task goes back to people who have not answered it, ' +
        'and has no final answer until they have.',
      'Ask again',
      'Cancel',
      [h('p', {class: 'field'}, h('label', {for: more.id, text: 'Answers more'}), more)],
    );
    if (yes) {
      await this.#send('ask_again', {answers: Number(more.value)}, 'The annotators are asked again.');
    }
  }

  async #exclude() {
    const given = await askReason(
      'Exclude this video?',
      'None of its classes is asked for any more; ' +
        'it becomes neither an example of the action nor of its absence.',
      'Exclude',
      [],
      {value: '', needed: true},
    );
    if (given) {
      const {reason} = given;
      await this.#post(`/api/videos/${this.found.video_id}/exclude`, {reason}, 'Excluded.');
    }
  }

  #include = () =>
    this.#post(`/api/videos/${this.found.video_id}/include`, {}, 'Included: its tasks are open.');

  #copy({segments, worker}) {
    this.#editor.session.replace(segments, `Copied the answer of ${worker}`);
  }

  #draw() {
    if (!this.send || !this.#editor) return;
    const obstacle = marking.obstacle(this.#editor.marks);
    const idle = DECIDED.includes(this.found.state) && !this.#dirty;
    set(this.send, 'aria-disabled', idle || this.#editor.marks.pending !== null ? 'true' : null);
    set(this.send, 'title', idle ? 'Nothing was changed' : obstacle);
    this.reset.disabled = !this.#dirty;
  }

  async #save() {
    const editor = this.#editor;
    const decided = DECIDED.includes(this.found.state);
    // A decided "not here" has no segments and need not be said again.
    const obstacle =
      decided && !editor.marks.segments.length && !this.#dirty
        ? 'Nothing was changed.'
        : marking.obstacle(editor.marks);
    if (obstacle) {
      this.world.notices.show(obstacle);
      return;
    }
    const sent = await this.#send(
      'adjudicate',
      {segments: marking.toAnswer(editor.marks, editor.clip)},
      'Saved.',
    );
    if (sent && !decided) await this.#next();
  }

  /** After a dispute comes the next one. */
  async #next() {
    const {api, notices, go} = this.world;
    const {total, videos} = await api
      .get('/api/videos?state=disputed&limit=1')
      .catch(() => ({total: 0}));
    if (!total) {
      notices.show('Decided. No other task is in dispute.', 'good');
      return;
    }
    notices.show(`Decided. Here is the next of ${count(total, 'dispute')}.`, 'good');
    go({view: 'task', task: videos[0].task_id});
  }

  #dispute = () => this.#send('dispute', {}, 'Taken out of the queue: decide it now.');

  #send = (what, body, done) => this.#post(`/api/tasks/${this.id}/${what}`, body, done);

  /** @returns {Promise<boolean>} whether it was done */
  async #post(path, body, done) {
    try {
      await this.world.api.post(path, body);
      this.world.notices.show(done, 'good');
      this.world.refresh().catch(() => {});
      await this.load();
      return true;
    } catch (error) {
      this.world.notices.show(`Not done: ${error.message}.`, 'bad');
      return false;
    }
  }
}
