/** What the operator should know of the program itself: its learner, and videos that are late. */

import {h} from './dom.js';
import {count} from './format.js';

/** @param {{learner: object | null, preparing: object}} data GET /api/campaign */
export const troubles = ({learner, preparing}) => [
  learner?.state === 'down'
    ? warning(
        `The learner failed ${learner.failures} times in a row and stays down: ${learner.error}. ` +
          'People can go on with the tasks that are open. Mend it, then stop the program and start ' +
          'it again with the same command.',
      )
    : null,
  learner?.state === 'restarting'
    ? warning(`The learner stopped, and starts again by itself: ${learner.error}.`)
    : null,
  preparing.problem
    ? warning(
        `${count(preparing.videos, 'video')} cannot be made ready now: ${preparing.problem}. ` +
          'It is tried again.',
      )
    : null,
];

/** What is going on, or '' */
export const underWay = ({preparing}) =>
  preparing.videos && !preparing.problem
    ? `${count(preparing.videos, 'video')} being made ready for browsers.`
    : '';

const warning = (text) => h('p', {role: 'alert', text});
