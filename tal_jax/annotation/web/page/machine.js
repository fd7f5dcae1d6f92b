/** What the operator should know of the program itself: what it cannot do now, and what is late. */

import {h} from './dom.js';
import {count} from './format.js';

/**
 * One full disk stops several things: it is told once.
 *
 * @param {{troubles: object[], learner: object | null, preparing: object}} data GET /api/campaign
 */
export function troubles({troubles: found, learner, preparing}) {
  const passing = found.filter((trouble) => trouble.passes).map((trouble) => trouble.error);
  const shown = passing.filter((error, i) => passing.findIndex(sameAs(error)) === i);
  const known = (error) => shown.some(sameAs(error));
  return [
    ...shown.map((error) =>
      warning(`${error}. The campaign waits, and goes on by itself when that is over.`),
    ),
    ...found
      .filter((trouble) => !trouble.passes)
      .map(({part, error, retry_seconds: seconds}) =>
        warning(
          `The campaign's housekeeping failed (${part}): ${error}; retried in ` +
            `${Math.max(1, Math.round(seconds))} s. Answers are accepted meanwhile; ` +
            'the log of the program has more.',
        ),
      ),
    learner?.state === 'down'
      ? warning(
          `The learner failed ${learner.failures} times in a row and stays down: ${learner.error}. ` +
            'It is tried again every 10 minutes, and people can go on with the tasks that are open. ' +
            'Mend it, then stop the program and start it again with the same command.',
        )
      : null,
    learner?.state === 'restarting' && !known(learner.error)
      ? warning(`The learner stopped, and starts again by itself: ${learner.error}.`)
      : null,
    preparing.problem && !known(preparing.problem) && !sameAs(preparing.problem)(learner?.error ?? '')
      ? warning(
          `${count(preparing.videos, 'video')} cannot be made ready now: ${preparing.problem}. ` +
            'It is tried again.',
        )
      : null,
  ];
}

/** Whether two faults of the machine are one: "disk full: /a" and "disk full: /a/media". */
const sameAs = (error) => (other) => kind(error) === kind(other);
const kind = (error) => error.split(':')[0];

/** What is going on, or '' */
export const underWay = ({preparing}) =>
  preparing.videos && !preparing.problem
    ? `${count(preparing.videos, 'video')} being made ready for browsers.`
    : '';

const warning = (text) => h('p', {role: 'alert', text});
