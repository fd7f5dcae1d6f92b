/**
 * How the campaign stands: queue, rounds, agreement, money, learning curve, what needs an operator.
 */

import {drawCurve} from './curve.js';
import {h, put, say} from './dom.js';
import {count, fixed, moment, money, percent, roughly} from './format.js';
import {troubles, underWay} from './machine.js';
import {Table, badge, meter} from './table.js';

export class Overview {
  #last = '';

  /** @param {{api: object, notices: object, go: (where: object) => void}} world */
  constructor(world) {
    this.world = world;
    this.tiles = h('div', {class: 'tiles'});
    this.finished = h('div', {role: 'status'});
    this.curve = h('div');
    this.rounds = new Table('Rounds', [
      {name: 'Round'},
      {name: 'State'},
      {name: 'Decided'},
      {name: 'Agreement', number: true, title: 'Mean F1 of those who agree'},
      {name: 'Opened'},
    ]);
    this.attention = h('div');
    this.points = new Table('Learning curve', [
      {name: 'Round'},
      {name: 'Labelled', number: true},
      {name: 'Instances', number: true},
      {name: 'mAP', number: true},
      {name: 'Attention AP', number: true},
    ]);
    const card = (name, ...children) =>
      h('section', {class: 'card', 'aria-label': name}, h('h2', {text: name}), ...children);
    this.element = h(
      'div',
      {class: 'page'},
      h('h1', {class: 'unseen', text: 'Overview'}),
      this.finished,
      this.tiles,
      h(
        'div',
        {class: 'columns'},
        h(
          'div',
          {},
          card(
            'Learning curve',
            this.curve,
            h('details', {}, h('summary', {text: 'As a table'}), this.points.element),
          ),
        ),
        h(
          'div',
          {},
          card('Needs you', this.attention),
          card('Rounds', h('div', {class: 'scroll'}, this.rounds.element)),
        ),
      ),
    );
  }

  /** @param {object} data GET /api/campaign */
  update(data) {
    const {workers, classes, title, ...shown} = data;
    const text = JSON.stringify(shown);
    if (text === this.#last) return;
    this.#last = text;
    const {queue, rounds, spend, pace} = data;
    const done = queue.agreed + queue.adjudicated;
    const all = Object.values(queue).reduce((a, b) => a + b, 0);
    const now = rounds.at(-1);
    put(
      this.finished,
      pace.finished
        ? h(
            'p',
            {class: 'finished'},
            h('strong', {text: 'The campaign is finished. '}),
            `${count(pace.labelled, 'video')} labelled; the downloads above have their answers.`,
          )
        : null,
    );
    put(
      this.tiles,
      tile(
        'Videos',
        pace.planned === null ? String(pace.labelled) : `${pace.labelled} of ${pace.planned}`,
        paceInWords(pace),
        pace.planned ? meter(pace.labelled / pace.planned, '') : null,
      ),
      tile(
        'Round',
        now ? String(now.number) : '\u2013',
        now ? `${now.state}, ${now.decided} of ${now.tasks} decided` : 'none opened yet',
        now && meter(now.decided / now.tasks, ''),
      ),
      tile(
        'Queue',
        String(queue.open + queue.leased),
        `${queue.open} open, ${queue.leased} being worked on`,
      ),
      tile(
        'Decided',
        String(done),
        `of ${all}; ${queue.adjudicated} adjudicated`,
        meter(all && done / all, ''),
      ),
      tile(
        'Disputed',
        String(queue.disputed),
        queue.disputed ? 'wait for an operator' : 'none wait for an operator',
      ),
      tile('Agreement', percent(agreementOf(rounds)), 'mean F1 of those who agree'),
      tile(
        'Spend',
        money(spend.paid_cents + spend.reserved_cents),
        spend.budget_cents
          ? `of ${money(spend.budget_cents)}; ${money(spend.reserved_cents)} reserved`
          : 'no budget set',
        spend.budget_cents
          ? meter((spend.paid_cents + spend.reserved_cents) / spend.budget_cents, '')
          : null,
      ),
    );
    drawCurve(this.curve, data.curve);
    this.points.update(
      data.curve.map((p) => [
        String(p.round),
        String(p.num_labeled),
        String(p.num_instances),
        fixed(p.map, 3),
        fixed(p.attention_ap, 3),
      ]),
      'No round has been trained yet.',
    );
    this.rounds.update(
      rounds
        .toReversed()
        .map((r) => [
          String(r.number),
          badge(r.state),
          meter(r.decided / r.tasks, `${r.decided} / ${r.tasks}`),
          percent(r.agreement),
          moment(r.opened_at),
        ]),
      'No round has been opened yet.',
    );
    this.#drawAttention(data);
  }

  /** What was left out, and why: the operator is told, and may include it again. */
  #excluded({excluded, pace}) {
    return h(
      'details',
      {open: excluded.length < 4},
      h('summary', {
        text:
          `${count(pace.excluded, 'video')} left out: ` +
          'no example of anything, not asked for again',
      }),
      h(
        'ul',
        {class: 'scroll list'},
        ...excluded.map(({video_id: id, video, reason, source}) =>
          h(
            'li',
            {class: 'row'},
            h('span', {}, h('strong', {text: video}), `: ${reason} (${BY[source]})`),
            h('button', {
              type: 'button',
              class: 'button small',
              text: 'Include',
              'aria-label': `Include ${video} again`,
              on: {click: () => this.#include(id, video)},
            }),
          ),
        ),
      ),
    );
  }

  async #include(id, video) {
    try {
      await this.world.api.post(`/api/videos/${id}/include`);
      this.world.notices.show(`${video} is included again.`, 'good');
      await this.world.refresh();
    } catch (error) {
      this.world.notices.show(`Not included: ${error.message}.`, 'bad');
    }
  }

  #drawAttention(data) {
    const {queue, stalled, rounds} = data;
    const {go} = this.world;
    const troubled = troubles(data);
    put(
      this.attention,
      ...troubled,
      queue.disputed
        ? h(
            'p',
            {class: 'row'},
            `${count(queue.disputed, 'task')} in dispute: annotators do not agree. `,
            h('button', {
              type: 'button',
              class: 'button small',
              text: 'Adjudicate',
              on: {click: () => go({view: 'videos', state: 'disputed'})},
            }),
          )
        : null,
      stalled.length
        ? h('p', {
            text:
              `${count(stalled.length, 'task')} that too few people can still answer. Invite somebody, ` +
              'or take an open task out of the queue and decide it yourself:',
          })
        : null,
      stalled.length
        ? h(
            'ul',
            {class: 'scroll list'},
            ...stalled.map(({id, video, label, missing}) =>
              h(
                'li',
                {},
                h('button', {
                  type: 'button',
                  class: 'link inline',
                  text: `${video}, ${label}`,
                  on: {click: () => go({view: 'task', task: id})},
                }),
                ` (task ${id}) wants ${missing} more ${missing === 1 ? 'person' : 'people'} ` +
                  'than can still answer it: invite somebody',
              ),
            ),
          )
        : null,
      data.excluded.length ? this.#excluded(data) : null,
      queue.disputed || stalled.length || troubled.some(Boolean)
        ? null
        : h('p', {class: 'muted', text: `Nothing. ${AT_WORK[rounds.at(-1)?.state ?? '']}`}),
      h('p', {class: 'muted', text: underWay(data)}),
    );
  }
}

const BY = {
  operator: 'by an operator',
  annotators: 'by most annotators',
  program: 'by the program',
};

/** How far it is, and for how long it will go on. */
function paceInWords({labelled, planned, seconds_left: left, finished}) {
  if (finished) return 'labelled; finished';
  if (planned !== null && labelled >= planned) return 'labelled: all that were planned';
  return left === null
    ? 'labelled; too early to tell the time left'
    : `labelled; about ${roughly(left)} left at this pace`;
}

/** By the state of the last round: who is at work when nobody waits for the operator. */
const AT_WORK = {
  '': 'The first round is being made ready.',
  open: 'The tasks are with the annotators.',
  complete: 'The learner is at work.',
  trained: 'All rounds so far are trained.',
};

/** Mean over the rounds, weighted by their tasks. */
function agreementOf(rounds) {
  const known = rounds.filter((r) => r.agreement !== null);
  const tasks = known.reduce((sum, r) => sum + r.tasks, 0);
  return tasks ? known.reduce((sum, r) => sum + r.agreement * r.tasks, 0) / tasks : null;
}

function tile(name, value, note, bar = null) {
  const made = h(
    'section',
    {class: 'tile', 'aria-label': name},
    h('h2', {text: name}),
    h('p', {class: 'value'}),
    h('p', {class: 'muted', text: note}),
    bar,
  );
  say(made.querySelector('.value'), value);
  return made;
}
