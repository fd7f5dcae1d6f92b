/**
 * One task for an operator: every annotator's answer as a lane, and the final answer to be edited.
 */

import {h, put, set} from './dom.js';
import {Editor} from './editor.js';
import {clipOf, timecode, toBoundary} from './frames.js';
import {count, moment, percent} from './format.js';
import * as marking from './marks.js';
import {badge} from './table.js';

const DECIDED = ['agreed', 'adjudicated'];

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
    const {task, state, final, answers} = found;
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
        marks: marking.fromSeconds(
          final.map(({start, end}) => [start, end]),
          clip,
        ),
        frame: Math.min(
          toBoundary(clip, final[0]?.start ?? answers[0]?.segments[0]?.[0] ?? task.hint?.[0] ?? 0),
          clip.count - 1,
        ),
        lanes: answers.map((answer, i) => ({
          id: `answer${i}`,
          name: answer.worker,
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

  #side({task, state, agreement, final, answers, events}, decided) {
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
          text: `${count(answers.length, 'answer')}, agreement ${percent(agreement)}. Final answer: ${decision}.`,
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
            ...answers.map(({worker, segments, comment, submitted_at: at}) =>
              h(
                'li',
                {},
                h('strong', {text: worker}),
                ` ${segments.length ? count(segments.length, 'segment') : 'not here'}, ${moment(at)}`,
                comment ? h('p', {class: 'pre comment', text: comment}) : null,
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
      this.#editable
        ? h('div', {class: 'row'}, this.send, this.reset)
        : h(
            'div',
            {class: 'stack'},
            h('p', {
              class: 'muted',
              text:
                state === 'leased'
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
    await this.#send(
      'adjudicate',
      {segments: marking.toAnswer(editor.marks, editor.clip)},
      'Saved.',
    );
  }

  #dispute = () => this.#send('dispute', {}, 'Taken out of the queue: decide it now.');

  async #send(what, body, done) {
    try {
      await this.world.api.post(`/api/tasks/${this.id}/${what}`, body);
      this.world.notices.show(done, 'good');
      this.world.refresh().catch(() => {});
      await this.load();
    } catch (error) {
      this.world.notices.show(`Not done: ${error.message}.`, 'bad');
    }
  }
}
