/** All tasks, to be searched and opened. */

import {h, say} from './dom.js';
import {count, percent} from './format.js';
import {offer} from './people.js';
import {Table, badge} from './table.js';

const PAGE = 50;
const QUIET = 250; // milliseconds after the last key
const STATES = ['open', 'leased', 'disputed', 'agreed', 'adjudicated', 'excluded'];

export class Videos {
  #offset = 0;
  #asked = 0;

  /**
   * @param {{api: import('./api.js').Api, notices: object, go: (where: object) => void}} world
   * @param {string[]} classes
   */
  constructor(world, classes) {
    this.world = world;
    const choice = (id, all, names) =>
      h(
        'select',
        {id, class: 'select', on: {change: () => this.#first()}},
        h('option', {value: '', text: all}),
        ...names.map((name) => h('option', {value: name, text: name})),
      );
    this.state = choice('by-state', 'all states', STATES);
    this.label = choice('by-label', 'all classes', classes);
    this.worker = choice('by-worker', 'everybody', []);
    let timer = 0;
    this.query = h('input', {
      id: 'by-name',
      class: 'input',
      type: 'search',
      placeholder: 'part of a name',
      on: {
        input: () => {
          clearTimeout(timer);
          timer = setTimeout(() => this.#first(), QUIET);
        },
      },
    });
    this.total = h('span', {class: 'muted', role: 'status'});
    this.table = new Table('Videos and their tasks', [
      {name: 'Video'},
      {name: 'Class'},
      {name: 'Round', number: true},
      {name: 'State'},
      {name: 'Agreement', number: true},
      {name: 'Answers', number: true},
      {name: 'Segments', number: true},
    ]);
    this.back = h('button', {
      type: 'button',
      class: 'button small',
      text: 'Previous',
      on: {click: () => this.#turn(-PAGE)},
    });
    this.on = h('button', {
      type: 'button',
      class: 'button small',
      text: 'Next',
      on: {click: () => this.#turn(PAGE)},
    });
    this.element = h(
      'div',
      {class: 'page'},
      h('h1', {class: 'unseen', text: 'Videos and answers'}),
      h(
        'section',
        {class: 'card', 'aria-label': 'Videos'},
        h(
          'form',
          {class: 'row form', role: 'search', on: {submit: (event) => event.preventDefault()}},
          h('label', {for: 'by-state', text: 'State'}),
          this.state,
          h('label', {for: 'by-label', text: 'Class'}),
          this.label,
          h('label', {for: 'by-worker', text: 'Answered by'}),
          this.worker,
          h('label', {for: 'by-name', text: 'Video'}),
          this.query,
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

  /** The page is shown; its address may ask for a state. */
  enter() {
    const state = new URLSearchParams(location.search).get('state');
    if (STATES.includes(state)) this.state.value = state;
    this.#load();
  }

  #first() {
    this.#offset = 0;
    this.#load();
  }

  #turn(by) {
    this.#offset = Math.max(0, this.#offset + by);
    this.#load();
  }

  async #load() {
    const asked = ++this.#asked;
    const query = new URLSearchParams({
      state: this.state.value,
      label: this.label.value,
      query: this.query.value,
      worker: this.worker.value || 0,
      offset: this.#offset,
      limit: PAGE,
    });
    try {
      const {total, videos} = await this.world.api.get(`/api/videos?${query}`);
      if (asked !== this.#asked) return; // a later question is on its way
      this.#draw(total, videos);
    } catch (error) {
      this.world.notices.show(`Videos cannot be shown: ${error.message}.`, 'bad');
    }
  }

  #draw(total, videos) {
    const end = this.#offset + videos.length;
    say(
      this.total,
      total > PAGE ? `${this.#offset + 1} to ${end} of ${total}` : count(total, 'task'),
    );
    this.back.disabled = this.#offset === 0;
    this.on.disabled = end >= total;
    this.table.update(
      videos.map((v) => [
        h('button', {
          type: 'button',
          class: 'link name',
          'data-key': `task${v.task_id}`,
          text: v.video,
          on: {click: () => this.world.go({view: 'task', task: v.task_id})},
        }),
        v.label,
        String(v.round),
        badge(v.state),
        percent(v.agreement),
        String(v.answers),
        v.state === 'agreed' || v.state === 'adjudicated' ? String(v.num_segments) : '\u2013',
      ]),
      'None like this.',
    );
  }
}
