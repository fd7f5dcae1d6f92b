/**
 * Making elements. All text goes through text nodes: nothing that a person typed becomes markup.
 */

import {ariaOf, hintOf} from './keys.js';

const SVG = 'http://www.w3.org/2000/svg';

/**
 * @param {string} tag
 * @param {Record<string, any>} attributes on: listeners; class, text, and any attribute; null and
 *   false leave one out, true sets it empty
 * @param {...(Node | string | null | false)} children
 * @returns {HTMLElement}
 */
export const h = (tag, attributes = {}, ...children) =>
  fill(document.createElement(tag), attributes, children);

/** The same for SVG. @returns {SVGElement} */
export const s = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

function fill(element, {on = {}, text, ...attributes}, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    element.setAttribute(name, value === true ? '' : String(value));
  }
  for (const [event, listener] of Object.entries(on)) element.addEventListener(event, listener);
  if (text !== undefined) element.textContent = text;
  element.append(...children.flat().filter((child) => child !== null && child !== false));
  return element;
}

/** Replaces what is in an element. */
export function put(element, ...children) {
  element.replaceChildren(...children.flat().filter((child) => child !== null && child !== false));
  return element;
}

/** Sets an attribute only if it changes (screen readers hear of every change). */
export function set(element, name, value) {
  if (value === null || value === false) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, String(value));
}

/** Sets the text only if it changes. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Line drawings of 16 x 16. */
const ICONS = {
  play: 'M5 3.2v9.6l7.5-4.8z',
  pause: 'M5.2 3.5v9M10.8 3.5v9',
  back: 'M10 3.5 5.5 8l4.5 4.5',
  forward: 'M6 3.5 10.5 8 6 12.5',
  backMany: 'M8 3.5 3.5 8 8 12.5M12.5 3.5 8 8l4.5 4.5',
  forwardMany: 'M8 3.5 12.5 8 8 12.5M3.5 3.5 8 8l-4.5 4.5',
  first: 'M12 3.5 7.5 8l4.5 4.5M4.2 3.5v9',
  last: 'M4 3.5 8.5 8 4 12.5M11.8 3.5v9',
  loop: 'M3 7.5V7a2.5 2.5 0 0 1 2.5-2.5h7M10.5 2.3l2.2 2.2-2.2 2.2M13 8.5V9a2.5 2.5 0 0 1-2.5 2.5h-7M5.5 13.7l-2.2-2.2 2.2-2.2',
  undo: 'M5.5 3 2.8 5.8l2.7 2.7M3 5.8h6.2a3.6 3.6 0 0 1 0 7.2H6',
  redo: 'M10.5 3l2.7 2.8-2.7 2.7M13 5.8H6.8a3.6 3.6 0 0 0 0 7.2H10',
  remove: 'M3 4.5h10M6.2 4.3V2.8h3.6v1.5M4.3 4.5l.6 8.7h6.2l.6-8.7M6.8 7v3.8M9.2 7v3.8',
  zoomIn: 'M7 2.8a4.2 4.2 0 1 0 0 8.4 4.2 4.2 0 0 0 0-8.4M10.2 10.2l3.3 3.3M5 7h4M7 5v4',
  zoomOut: 'M7 2.8a4.2 4.2 0 1 0 0 8.4 4.2 4.2 0 0 0 0-8.4M10.2 10.2l3.3 3.3M5 7h4',
  fit: 'M2.5 3v10M13.5 3v10M5 8h6M6.8 6 4.8 8l2 2M9.2 6l2 2-2 2',
  sound: 'M3 6.2v3.6h2.2l3 2.5V3.7l-3 2.5zM10.5 6a3 3 0 0 1 0 4M12 4.2a5.4 5.4 0 0 1 0 7.6',
  mute: 'M3 6.2v3.6h2.2l3 2.5V3.7l-3 2.5zM10.8 6.3l3.2 3.4M14 6.3l-3.2 3.4',
  check: 'M3.2 8.4l3.2 3.2 6.4-7',
  copy: 'M5.5 5.5h7.2v7.2H5.5zM3.3 10.3V3.3h7',
  begin: 'M4 2.8v10.4M6.5 8h6M10 5.2 12.8 8 10 10.8',
  finish: 'M12 2.8v10.4M9.5 8h-6M6 5.2 3.2 8 6 10.8',
  split: 'M8 2.8v10.4M2 8h3.8M3.8 6 5.8 8l-2 2M10.2 8H14M12.2 6l2 2-2 2',
  absent: 'M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11M4.2 4.2l7.6 7.6',
  warn: 'M8 2.6l6 10.6H2zM8 6.6v3M8 11.4v.3',
};

/** @param {keyof typeof ICONS} name */
export const icon = (name) =>
  s(
    'svg',
    {viewBox: '0 0 16 16', class: 'icon', 'aria-hidden': 'true'},
    s('path', {d: ICONS[name]}),
  );

/** Shows another drawing. */
export const setIcon = (button, name) =>
  button.querySelector('.icon path').setAttribute('d', ICONS[name]);

/**
 * The key of a command, drawn as one by the style sheet: it is no part of the name of a button, and
 * is read out through aria-keyshortcuts instead.
 */
export const keyHint = (id) => h('kbd', {'aria-hidden': 'true', 'data-keys': hintOf(id)});

/** The field for a comment, whose id is `comment`, with its label and key. */
export const commentLine = (field) =>
  h(
    'div',
    {class: 'comment-line'},
    h(
      'label',
      {for: 'comment'},
      h('span', {class: 'unseen', text: 'Comment'}),
      keyHint('comment'),
    ),
    field,
  );

/**
 * A button for a command of the keyboard map.
 * @param {(id: string) => void} run
 * @param {{label?: string, name?: string, drawing?: string, kind?: string, hint?: boolean}} look
 *   label: text on it; name: what it is called where there is no text
 */
export function commandButton(id, run, {label, name, drawing, kind = '', hint = true}) {
  const keys = hintOf(id);
  return h(
    'button',
    {
      type: 'button',
      class: `button ${kind}`,
      'data-command': id,
      'aria-label': label ? null : name,
      'aria-keyshortcuts': ariaOf(id),
      title: label && hint ? null : `${name ?? label} (${keys})`,
      on: {click: () => run(id)},
    },
    drawing ? icon(drawing) : null,
    label ? h('span', {text: label}) : null,
    hint && keys ? keyHint(id) : null,
  );
}
