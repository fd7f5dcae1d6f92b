/**
 * The learning curve so far as SVG: mAP and the attention's AP over the number of labelled videos.
 */

import {h, put, s} from './dom.js';
import {fixed} from './format.js';

const [WIDTH, HEIGHT] = [560, 250];
const PARTS = 5; // of an axis, at most
const [LEFT, RIGHT, TOP, BOTTOM] = [46, 14, 12, 40];

/**
 * Rounded steps of an axis from 0; `whole`: of something that is counted.
 *
 * @returns {number[]} the last is not below `most`
 */
export function steps(most, whole = false) {
  const raw = Math.max(most / PARTS, whole ? 1 : 1e-10);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10]
    .map((m) => m * power)
    .find((m) => m >= raw * (1 - 1e-9) && !(whole && m % 1));
  const number = Math.ceil(most / step - 1e-9);
  return Array.from({length: Math.max(number, 1) + 1}, (_, i) =>
    Number((i * step).toPrecision(12)),
  );
}

/**
 * @param {Element} host
 * @param {{round: number, num_labeled: number, num_instances: number, map: number | null,
 *   attention_ap: number | null}[]} points
 */
export function drawCurve(host, points) {
  const series = [
    {key: 'map', name: 'mAP', kind: 'first'},
    {key: 'attention_ap', name: 'Attention AP', kind: 'second'},
  ]
    .map((one) => ({...one, at: points.filter((p) => p[one.key] !== null)}))
    .filter(({at}) => at.length);
  if (!series.length) {
    put(
      host,
      h('p', {
        class: 'muted',
        text: points.length
          ? `${points.at(-1).num_labeled} videos and ` +
            `${points.at(-1).num_instances} instances labelled so far. There is no mAP: the campaign has no testing set.`
          : 'No round has been trained yet.',
      }),
    );
    return;
  }
  const xs = steps(Math.max(...points.map((p) => p.num_labeled)), true);
  const ys = steps(Math.max(...series.flatMap(({key, at}) => at.map((p) => p[key]))));
  const x = (v) => LEFT + ((WIDTH - LEFT - RIGHT) * v) / xs.at(-1);
  const y = (v) => HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * v) / ys.at(-1);
  const last = series
    .map(
      ({key, name, at}) => `${name} ${fixed(at.at(-1)[key], 3)} at ${at.at(-1).num_labeled} videos`,
    )
    .join('; ');
  put(
    host,
    h(
      'div',
      {class: 'legend'},
      ...series.map(({name, kind, key, at}) =>
        h(
          'span',
          {class: `key ${kind}`},
          h('span', {class: 'swatch', 'aria-hidden': 'true'}),
          `${name} ${fixed(at.at(-1)[key], 3)}`,
        ),
      ),
    ),
    s(
      'svg',
      {
        viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
        class: 'curve',
        role: 'img',
        'aria-label': `Learning curve: ${last}`,
      },
      ...ys.map((v) =>
        s(
          'g',
          {},
          s('line', {x1: LEFT, x2: WIDTH - RIGHT, y1: y(v), y2: y(v), class: v ? 'grid' : 'axis'}),
          s('text', {x: LEFT - 7, y: y(v) + 4, 'text-anchor': 'end', text: String(v)}),
        ),
      ),
      ...xs.map((v) =>
        s('text', {x: x(v), y: HEIGHT - BOTTOM + 16, 'text-anchor': 'middle', text: String(v)}),
      ),
      s('text', {
        x: (LEFT + WIDTH - RIGHT) / 2,
        y: HEIGHT - 5,
        'text-anchor': 'middle',
        class: 'name',
        text: 'labelled videos',
      }),
      ...series.map(({key, kind, at}) =>
        s(
          'g',
          {class: `series ${kind}`},
          s('polyline', {points: at.map((p) => `${x(p.num_labeled)},${y(p[key])}`).join(' ')}),
          ...at.map((p) =>
            s(
              'circle',
              {cx: x(p.num_labeled), cy: y(p[key]), r: 3.5},
              s('title', {
                text: `round ${p.round}: ${fixed(p[key], 3)}, ${p.num_labeled} videos, ${p.num_instances} instances`,
              }),
            ),
          ),
        ),
      ),
    ),
  );
}
