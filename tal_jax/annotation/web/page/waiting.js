/** Waiting for a task: what for, and calling back somebody who does something else meanwhile. */

import {h} from './dom.js';
import {prefer, preferences} from './preferences.js';

const CALL = '(1) '; // before the title, as browsers count what is new
const WHY = {
  learner: 'The learner is at work: it learns from the answers and chooses the next videos.',
  down: 'The learner has stopped. Whoever runs the campaign can see why.',
  videos: 'The next videos are being made ready to be played here.',
  others: 'The tasks that you could do are all with other people now.',
  answered: 'You have answered everything that there is for you. Others have not yet.',
  operator: 'What is left is in dispute. An operator decides it.',
};
const USUAL = 'New ones come when the others are done or the next round opens.';
const NOTE = [660, 0.25]; // hertz, seconds

/** @param {string} waiting of POST /api/next; one that this page does not know is told in general */
export const why = (waiting) =>
  `${WHY[waiting] ?? USUAL} Leave this page open: it goes on by itself, and the title of its tab says so.`;

/** Whether the person looks elsewhere. */
export const isAway = () => document.hidden || !document.hasFocus();

/** Resolves when the page can be seen. */
export const seen = () =>
  new Promise((resolve) => {
    if (!document.hidden) {
      resolve();
      return;
    }
    const look = () => {
      if (document.hidden) return;
      document.removeEventListener('visibilitychange', look);
      resolve();
    };
    document.addEventListener('visibilitychange', look);
  });

/** Says in the title, and with a sound if that is wanted, that a task is there. */
export function call() {
  if (preferences().bell) sound();
  if (!isAway() || document.title.startsWith(CALL)) return;
  document.title = CALL + document.title;
  const answer = () => {
    if (isAway()) return;
    removeEventListener('focus', answer);
    document.removeEventListener('visibilitychange', answer);
    if (document.title.startsWith(CALL)) document.title = document.title.slice(CALL.length);
  };
  addEventListener('focus', answer);
  document.addEventListener('visibilitychange', answer);
}

/** The choice of a sound. */
export const bell = () =>
  h(
    'label',
    {class: 'row'},
    h('input', {
      type: 'checkbox',
      checked: preferences().bell,
      on: {
        change: ({target}) => {
          prefer({bell: target.checked});
          if (target.checked) sound(); // browsers allow sounds only after something was pressed
        },
      },
    }),
    'Play a sound when a task is there',
  );

let audio = null;

function sound() {
  try {
    audio ??= new AudioContext();
    audio.resume();
    const [hertz, seconds] = NOTE;
    const volume = new GainNode(audio, {gain: 0.2});
    const tone = new OscillatorNode(audio, {frequency: hertz});
    tone.connect(volume).connect(audio.destination);
    volume.gain.setTargetAtTime(0, audio.currentTime + seconds / 2, seconds / 6);
    tone.start();
    tone.stop(audio.currentTime + seconds);
  } catch {
    // No sound here: the title says it.
  }
}
