/** What this annotator answered and may still correct: a list, and one of them in the editor. */

import {commandButton, commentLine, h, put, say, set} from './dom.js';
import {randomId} from './draft.js';
import {Editor} from './editor.js';
import {clipOf, toBoundary} from './frames.js';
import {count, moment} from './format.js';
import {instructions} from './instructions.js';
import * as marking from './marks.js';
import {persist, untilOnline} from './retry.js';
import {Table} from './table.js';

const inWords = ({segments, unusable}) =>
  unusable
    ? `unusable: ${unusable}`
    : segments.length
      ? count(segments.length, 'segment')
      : 'not here';

export class OwnAnswers {
  /**
   * @param {{api: import('./api.js').Api, notices: import('./notice.js').Notices, open: (answer:
   *   object) => void, back: () => void}} world
   */
  constructor(world) {
    this.world = world;
    this.table = new Table('Your answers', [
      {name: 'When'},
      {name: 'Video'},
      {name: 'Class'},
      {name: 'Answer'},
      {name: 'Comment'},
      {name: 'Correct', hidden: true},
    ]);
    this.element = h(
      'section',
      {class: 'card own-answers'},
      h('h1', {text: 'Your answers'}),
      h('p', {
        class: 'muted',
        text:
          'You can correct an answer until it is decided: ' +
          'that is when enough people have answered the same.',
      }),
      this.table.element,
      h(
        'p',
        {class: 'row'},
        h('button', {
          type: 'button',
          class: 'button primary',
          text: 'Back to the videos',
          on: {click: () => world.back()},
        }),
      ),
    );
  }

  async load() {
    const {answers} = await this.world.api.get('/api/mine');
    this.table.update(
      answers.map((answer) => [
        moment(answer.at),
        answer.video,
        answer.label,
        inWords(answer) + (answer.version > 1 ? `, version ${answer.version}` : ''),
        h('span', {class: 'pre', text: answer.comment}),
        h('button', {
          type: 'button',
          class: 'button small',
          'data-key': `answer${answer.task_id}`,
          text: 'Correct',
          'aria-label': `Correct ${answer.label} in ${answer.video}`,
          on: {click: () => this.world.open(answer)},
        }),
      ]),
      'None of your answers is undecided.',
    );
  }
}

export class Correction {
  /**
   * @param {{task: object, answer: object}} found as the server sends it
   * @param {{api: import('./api.js').Api, notices: import('./notice.js').Notices, back: () => void}}
   *   world
   */
  constructor({task, answer}, world) {
    this.task = task;
    this.world = world;
    this.submissionId = randomId();
    const clip = clipOf(task.video);
    const marks = answer.unusable
      ? marking.EMPTY
      : {...marking.fromSeconds(answer.segments, clip), absent: !answer.segments.length};
    this.comment = h('textarea', {id: 'comment', rows: 1, maxlength: 2000, class: 'input'});
    this.comment.value = answer.comment;
    this.editor = new Editor(
      {
        video: task.video,
        hint: task.hint,
        suggestions: task.suggestions,
        marks,
        frame: Math.min(
          toBoundary(clip, answer.segments[0]?.[0] ?? task.hint?.[0] ?? 0),
          clip.count - 1,
        ),
      },
      world.notices,
      {submit: () => this.#save(), comment: () => this.comment.focus()},
      () => this.#draw(),
    );
    this.missing = h('p', {class: 'missing', id: 'missing'});
    this.send = commandButton('submit', (id) => this.editor.run(id), {
      label: 'Save correction',
      drawing: 'check',
      kind: 'primary wide',
    });
    const side = h(
      'aside',
      {class: 'side', 'aria-label': 'Your answer'},
      h(
        'div',
        {class: 'asked-place'},
        instructions(task, () => this.editor.go(0), {index: 0, count: 1}),
      ),
      this.editor.list.element,
      h(
        'div',
        {class: 'answer'},
        answer.unusable ? h('p', {class: 'muted', text: `You said: ${inWords(answer)}.`}) : null,
        commentLine(this.comment),
        this.missing,
        h(
          'div',
          {class: 'row'},
          this.send,
          h('button', {
            type: 'button',
            class: 'button',
            text: 'Back',
            on: {click: () => world.back()},
          }),
        ),
      ),
    );
    this.element = h('div', {class: 'work'}, this.editor.stage, side, this.editor.panel);
    this.#draw();
  }

  close() {
    this.editor.close();
  }

  #draw() {
    if (!this.send) return; // the editor is being made
    const missing = marking.obstacle(this.editor.marks);
    set(this.send, 'aria-disabled', missing ? 'true' : null);
    say(this.missing, missing);
  }

  async #save() {
    const {api, notices, back} = this.world;
    const missing = marking.obstacle(this.editor.marks);
    if (missing || this.sending) {
      if (missing) notices.show(missing);
      return;
    }
    this.sending = true;
    this.editor.lock(true);
    const correction = {
      submission_id: this.submissionId,
      comment: this.comment.value,
      segments: marking.toAnswer(this.editor.marks, this.editor.clip),
    };
    try {
      await persist(
        () => api.post(`/api/tasks/${this.task.id}/correct`, correction),
        (milliseconds) => {
          say(this.missing, 'The server cannot be reached. Your correction is sent again.');
          return untilOnline(milliseconds);
        },
      );
      notices.show('Correction saved.', 'good');
      back();
    } catch (error) {
      this.sending = false;
      this.editor.lock(false);
      notices.show(`Not saved: ${error.message}.`, 'bad');
    }
  }
}

/** Draws a message in the place of the list where it cannot be had. */
export const cannot = (element, error) =>
  put(
    element,
    h(
      'section',
      {class: 'card message'},
      h('h1', {text: 'Your answers cannot be shown'}),
      h('p', {text: error.message}),
    ),
  );
