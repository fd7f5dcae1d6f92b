/** A choice of one person, or everybody. */

import {h} from './dom.js';

/**
 * Puts the people of the campaign into a <select> whose first option is everybody.
 * @param {HTMLSelectElement} select
 * @param {{id: number, name: string}[]} workers
 */
export function offer(select, workers) {
  const names = workers.map(({id, name}) => `${id} ${name}`).join('\n');
  if (select.dataset.people === names) return;
  select.dataset.people = names;
  const {value} = select;
  select.replaceChildren(
    select.options[0],
    ...workers.map(({id, name}) => h('option', {value: id, text: name})),
  );
  select.value = value;
  if (select.selectedIndex < 0) select.selectedIndex = 0;
}
