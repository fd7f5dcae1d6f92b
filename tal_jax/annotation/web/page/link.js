/**
 * Who opened the page: what stands behind the # of its address, or a link that is pasted.
 *
 * From the campaign: #TOKEN. From a crowd: #token=...&submit_to=...&assignment=..., with answered=1
 * where the answer is stored and only the crowd does not know, or #preview=1 of a task that the
 * worker only looks at.
 *
 * @typedef {{token: string, preview: boolean, crowd: {submitTo: string, assignment: string,
 *   answered: boolean} | null}} Entry
 */

import {h, put} from './dom.js';

/** @returns {Entry} token '' if there is none */
export function entryOf(text) {
  const behind = text.slice(text.lastIndexOf('#') + 1).trim();
  if (!behind.includes('=')) {
    return {token: /^[\w.~-]+$/.test(behind) ? behind : '', preview: false, crowd: null};
  }
  const values = new URLSearchParams(behind);
  const [token, submitTo] = [values.get('token') ?? '', values.get('submit_to') ?? ''];
  return {
    token,
    preview: values.get('preview') === '1',
    crowd:
      token && submitTo
        ? {
            submitTo,
            assignment: values.get('assignment') ?? '',
            answered: values.get('answered') === '1',
          }
        : null,
  };
}

/** Asks for the link that somebody was given, where the address has none or one that is void. */
export function askForLink(main, reason) {
  const input = h('input', {
    id: 'link',
    class: 'input',
    autocomplete: 'off',
    spellcheck: 'false',
    required: true,
    'aria-describedby': 'link-note',
  });
  const note = h('p', {id: 'link-note', class: 'muted', role: 'alert', text: reason});
  put(
    main,
    h(
      'section',
      {class: 'card message'},
      h('h1', {text: 'Open your link'}),
      note,
      h(
        'form',
        {
          class: 'stack',
          on: {
            submit: (event) => {
              event.preventDefault();
              if (!entryOf(input.value).token) {
                note.textContent =
                  'This is not a link of a campaign. It ends in # and a long code.';
                return;
              }
              location.hash = input.value.slice(input.value.lastIndexOf('#') + 1).trim();
              location.reload();
            },
          },
        },
        h('label', {for: 'link', text: 'The link, or the code at its end'}),
        input,
        h('div', {class: 'row'}, h('button', {class: 'button primary', text: 'Open'})),
      ),
    ),
  );
  input.focus();
}

/** Hands an accepted task back to the crowd, by the form that it expects. */
export function submitToCrowd({submitTo, assignment}, answer) {
  const hidden = (name, value) => h('input', {type: 'hidden', name, value});
  const form = h(
    'form',
    {method: 'post', action: `${submitTo.replace(/\/+$/, '')}/mturk/externalSubmit`},
    hidden('assignmentId', assignment),
    hidden('answer', answer),
  );
  document.body.append(form);
  form.submit();
}
