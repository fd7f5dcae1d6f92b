/** Who annotates: a table of all, invitations, and the end of a link. */

import {h, put} from './dom.js';
import {count, fixed, span} from './format.js';
import {ask} from './notice.js';
import {Table, badge} from './table.js';

export class Workers {
  #last = '';

  /** @param {{api: import('./api.js').Api, notices: object, refresh: () => Promise<void>}} world */
  constructor(world) {
    this.world = world;
    this.table = new Table('Annotators and operators', [
      {name: 'Name'},
      {name: 'Role'},
      {name: 'State'},
      {name: 'Answers', number: true},
      {name: 'Compared', number: true, title: 'Answers that could be compared with a final answer'},
      {name: 'F1', number: true, title: 'Mean agreement with the final answers'},
      {name: 'tIoU', number: true, title: 'Mean temporal overlap with the final answers'},
      {name: 'Gold', number: true, title: 'Tasks with a known answer that were passed on to them'},
      {name: 'Gold F1', number: true, title: 'Mean agreement with the known answers'},
      {name: 'Median time', number: true, title: 'From getting a task to the answer'},
      {name: 'Work', hidden: true},
      {name: 'Answers left out', hidden: true},
      {name: 'Link', hidden: true},
    ]);
    this.result = h('div', {class: 'invited', role: 'status'});
    this.name = h('input', {
      id: 'worker-name',
      class: 'input',
      required: true,
      maxlength: 200,
      autocomplete: 'off',
      placeholder: 'name or address',
    });
    this.role = h(
      'select',
      {id: 'worker-role', class: 'select'},
      h('option', {value: 'annotator', text: 'annotator'}),
      h('option', {value: 'operator', text: 'operator'}),
    );
    this.days = h('input', {
      id: 'worker-days',
      class: 'input days',
      type: 'number',
      min: 1,
      max: 366,
      value: 30,
      required: true,
    });
    this.element = h(
      'div',
      {class: 'page'},
      h('h1', {class: 'unseen', text: 'Annotators'}),
      h(
        'section',
        {class: 'card', 'aria-label': 'Invite'},
        h('h2', {text: 'Invite'}),
        h(
          'form',
          {class: 'row form', on: {submit: (event) => this.#invite(event)}},
          h('label', {for: 'worker-name', text: 'Name'}),
          this.name,
          h('label', {for: 'worker-role', text: 'Role'}),
          this.role,
          h('label', {for: 'worker-days', text: 'Days'}),
          this.days,
          h('button', {class: 'button primary', text: 'Make a link'}),
          h('span', {class: 'muted', text: 'A known name gets a new link; the old one ends.'}),
        ),
        this.result,
      ),
      h(
        'section',
        {class: 'card', 'aria-label': 'People'},
        h('h2', {text: 'People'}),
        h('div', {class: 'scroll wide'}, this.table.element),
      ),
    );
  }

  /** @param {object} data GET /api/campaign */
  update({workers}) {
    const text = JSON.stringify(workers);
    if (text === this.#last) return;
    this.#last = text;
    this.table.update(
      workers.map((w) => [
        w.name,
        w.role,
        badge(w.left_out ? 'left out' : w.state),
        String(w.answers),
        String(w.compared),
        fixed(w.f1),
        fixed(w.tiou),
        String(w.gold_done),
        fixed(w.gold_f1),
        span(w.seconds_median),
        w.state === 'stopped' || w.left_out
          ? h('button', {
              type: 'button',
              class: 'button small',
              'data-key': `reinstate${w.id}`,
              text: 'Reinstate',
              'aria-label': `Reinstate ${w.name}`,
              on: {click: () => this.#reinstate(w)},
            })
          : '',
        w.left_out || w.role === 'operator'
          ? ''
          : h('button', {
              type: 'button',
              class: 'button small danger',
              'data-key': `leave-out${w.id}`,
              text: 'Leave out',
              'aria-label': `Leave out the answers of ${w.name}`,
              on: {click: () => this.#leaveOut(w)},
            }),
        w.state === 'revoked'
          ? ''
          : h('button', {
              type: 'button',
              class: 'button small danger',
              'data-key': `revoke${w.id}`,
              text: 'Revoke',
              'aria-label': `Revoke the link of ${w.name}`,
              on: {click: () => this.#revoke(w)},
            }),
      ]),
      'Nobody has a link yet.',
    );
  }

  async #invite(event) {
    event.preventDefault();
    const {api, notices, refresh} = this.world;
    try {
      const name = this.name.value.trim();
      const {link} = await api.post('/api/workers', {
        name,
        role: this.role.value,
        days: Number(this.days.value),
      });
      const field = h('input', {
        class: 'input link-field',
        readonly: true,
        value: link,
        'aria-label': `Link of ${name}`,
        on: {focus: () => field.select()},
      });
      put(
        this.result,
        h('p', {
          text: `Link of ${name}. Copy it now: it is not shown again, and whoever has it can answer as ${name}.`,
        }),
        h(
          'div',
          {class: 'row'},
          field,
          h('button', {
            type: 'button',
            class: 'button',
            text: 'Copy',
            on: {click: () => this.#copy(field)},
          }),
        ),
      );
      this.name.value = '';
      field.focus();
      await refresh();
    } catch (error) {
      notices.show(`No link made: ${error.message}.`, 'bad');
    }
  }

  async #copy(field) {
    field.select();
    try {
      await navigator.clipboard.writeText(field.value); // there with https or on this machine only
      this.world.notices.show('Copied.', 'good');
    } catch {
      this.world.notices.show('The link is selected: copy it with Ctrl C.');
    }
  }

  async #reinstate({id, name}) {
    if (
      !(await ask(
        `Let ${name} work again?`,
        'Their answers count again and stop them no longer; those to come are judged as ever.',
        'Reinstate',
      ))
    )
      return;
    try {
      await this.world.api.post(`/api/workers/${id}/reinstate`);
      this.world.notices.show(`${name} may work again.`, 'good');
      await this.world.refresh();
    } catch (error) {
      this.world.notices.show(`Not reinstated: ${error.message}.`, 'bad');
    }
  }

  async #leaveOut({id, name, answers}) {
    if (
      !(await ask(
        `Leave out the answers of ${name}?`,
        `Their link ends, and none of their ${count(answers, 'answer')} counts any more. ` +
          'What was decided is merged again from the answers of the others, or asked again where ' +
          'these do not agree. What an operator decided stays.',
        'Leave out',
      ))
    )
      return;
    try {
      const {merged, asked} = await this.world.api.post(`/api/workers/${id}/leave_out`);
      const done = [
        merged ? `${count(merged, 'decision')} merged again` : '',
        asked ? `${count(asked, 'decided task')} asked again` : '',
      ].filter(Boolean);
      const more = done.length ? `: ${done.join(', ')}` : '';
      this.world.notices.show(`The answers of ${name} do not count${more}.`, 'good');
      await this.world.refresh();
    } catch (error) {
      this.world.notices.show(`Not left out: ${error.message}.`, 'bad');
    }
  }

  async #revoke({id, name}) {
    if (
      !(await ask(
        `End the link of ${name}?`,
        'It stops working at once. Answers that were given stay. A new link can be made.',
        'Revoke',
      ))
    )
      return;
    try {
      await this.world.api.post(`/api/workers/${id}/revoke`);
      this.world.notices.show(`The link of ${name} is void.`, 'good');
      await this.world.refresh();
    } catch (error) {
      this.world.notices.show(`Not revoked: ${error.message}.`, 'bad');
    }
  }
}
