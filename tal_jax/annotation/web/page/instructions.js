/**
 * What a task asks for: the class, its instructions, an example, and where the action is known to
 * be.
 */

import {h, s} from './dom.js';
import {shortTime} from './frames.js';

/**
 * @param {object} lane a class that is asked for
 * @param {() => void} goToHint
 * @param {{index: number, count: number}} place of the class among those of the video
 */
export function instructions({label, instructions: text, example, hint}, goToHint, place) {
  const several = place.count > 1;
  return h(
    'section',
    {class: 'asked', 'aria-labelledby': 'asked-title'},
    h('p', {
      class: 'eyebrow',
      text: several
        ? `Class ${place.index + 1} of ${place.count}: mark every instance of`
        : 'Mark every instance of',
    }),
    h(
      'h1',
      {id: 'asked-title', class: several ? `class-${(place.index % 8) + 1}` : null},
      several
        ? h('span', {class: 'swatch', 'aria-hidden': 'true', text: String(place.index + 1)})
        : null,
      label,
    ),
    hint
      ? h(
          'p',
          {class: 'hint-line'},
          h('span', {
            text: `Known at ${shortTime(hint[0])}\u2013${shortTime(hint[1])}, maybe more`,
          }),
          h('button', {
            type: 'button',
            class: 'link inline',
            text: 'Go there',
            on: {click: goToHint},
          }),
        )
      : null,
    h(
      'details',
      {open: true, tabindex: -1},
      h('summary', {text: 'Instructions'}),
      text ? h('p', {class: 'pre', text}) : null,
      h('p', {
        class: 'muted',
        text:
          'From the first frame that shows it to the last; each repetition ' +
          'is a segment of its own.',
      }),
      example ? drawn(example) : null,
    ),
  );
}

function drawn({text, segments, duration}) {
  const length = duration ?? Math.max(1, ...segments.map(([, end]) => end)) * 1.1;
  const names = segments
    .map(([a, b]) => `${shortTime(a, true)} to ${shortTime(b, true)}`)
    .join(', ');
  return h(
    'figure',
    {class: 'example'},
    segments.length
      ? s(
          'svg',
          {
            viewBox: '0 0 300 30',
            role: 'img',
            'aria-label': `Example: marked from ${names}, of ${shortTime(length)}`,
          },
          s('rect', {x: 0, y: 4, width: 300, height: 12, rx: 3, class: 'example-track'}),
          ...segments.map(([a, b]) =>
            s('rect', {
              x: (300 * a) / length,
              y: 4,
              rx: 2,
              height: 12,
              class: 'example-segment',
              width: Math.max(2, (300 * (b - a)) / length),
            }),
          ),
          s('text', {x: 0, y: 28, class: 'example-time', text: '0:00'}),
          s('text', {
            x: 300,
            y: 28,
            class: 'example-time',
            'text-anchor': 'end',
            text: shortTime(length),
          }),
        )
      : null,
    h('figcaption', {}, h('strong', {text: 'Example. '}), text),
  );
}
