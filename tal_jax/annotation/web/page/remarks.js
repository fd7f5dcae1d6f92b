/** What annotators wrote: comments, skips and why, videos that they found unusable. */

import {h, say} from './dom.js';
import {count, moment} from './format.js';
import {offer} from './people.js';
import {Table} from './table.js';

const PAGE = 50;
const KINDS = {answer: 'comment', unusable: 'unusable', skip: 'skipped'};

export class Remarks {
  #offset = 0;
  #asked = 0;

  /** @param {{api: import('./api.js').Api, notices: object, go: (where: object) => void}} world */
  constructor(world) {
    this.world = world;
    this.worker = h(
      'select',
      {id: 'remarks-by', class: 'select', on: {change: () => this.#turn(-this.#offset)}},
      h('option', {value: 0, text: 'everybody'}),
    );
    this.total = h('span', {class: 'muted', role: 'status'});
    this.table = new Table('Comments and skips', [
      {name: 'When'},
      {name: 'Who'},
      {name: 'What'},
      {name: 'Task'},
      {name: 'Reason'},
      {name: 'Comment'},
    ]);
    const button = (text, by) =>
      h('button', {
        type: 'button',
        class: 'button small',
        text,
        on: {click: () => this.#turn(by)},
      });
    this.back = button('Previous', -PAGE);
    this.on = button('Next', PAGE);
    this.element = h(
      'div',
      {class: 'page'},
      h('h1', {class: 'unseen', text: 'Comments and skips'}),
      h(
        'section',
        {class: 'card', 'aria-label': 'Comments and skips'},
        h(
          'form',
          {class: 'row form', on: {submit: (event) => event.preventDefault()}},
          h('label', {for: 'remarks-by', text: 'By'}),
          this.worker,
          h('span', {class: 'spread'}),
          this.total,
          this.back,
          this.on,
        ),
        h('div', {class: 'scroll wide'}, this.table.element),
      ),
    );
  }

  /** @param {object} data GET /api/campaign */
  update({workers}) {
    offer(this.worker, workers);
  }

  enter() {
    this.#turn(-this.#offset);
  }

  async #turn(by) {
    this.#offset = Math.max(0, this.#offset + by);
    const asked = ++this.#asked;
    const query = new URLSearchParams({
      worker: this.worker.value,
      offset: this.#offset,
      limit: PAGE,
    });
    try {
      const {total, remarks} = await this.world.api.get(`/api/remarks?${query}`);
      if (asked === this.#asked) this.#draw(total, remarks); // else a later question is on its way
    } catch (error) {
      this.world.notices.show(`Comments cannot be shown: ${error.message}.`, 'bad');
    }
  }

  #draw(total, remarks) {
    const end = this.#offset + remarks.length;
    say(
      this.total,
      total > PAGE ? `${this.#offset + 1} to ${end} of ${total}` : count(total, 'entry', 'entries'),
    );
    this.back.disabled = this.#offset === 0;
    this.on.disabled = end >= total;
    this.table.update(
      remarks.map((remark, i) => [
        moment(remark.at),
        remark.worker,
        KINDS[remark.kind],
        h('button', {
          type: 'button',
          class: 'link name',
          'data-key': `remark${this.#offset + i}`,
          text: `${remark.video}, ${remark.label}`,
          on: {click: () => this.world.go({view: 'task', task: remark.task_id})},
        }),
        remark.reason,
        h('span', {class: 'pre', text: remark.comment}),
      ]),
      'Nobody wrote anything.',
    );
  }
}
