/** The annotator's page: one task after another. */

import {Api} from './api.js';
import {commandButton, h, put, say, set} from './dom.js';
import {askForLink, entryOf, submitToCrowd} from './link.js';
import {Notices} from './notice.js';
import {persist, untilOnline} from './retry.js';
import {TaskView} from './task_view.js';

const main = document.getElementById('main');
const bar = document.getElementById('bar');
const notices = new Notices();
const entry = entryOf(location.hash);
const api = new Api(entry.token);
const title = h('span', {class: 'title'});
const progress = h('span', {class: 'progress'});
const saved = h('span', {class: 'save', role: 'status', 'aria-live': 'polite'});
let view = null;
let me = null;

const help = commandButton('help', () => view?.editor.run('help'), {label: 'Keys'});
help.hidden = true;
put(bar, title, progress, h('span', {class: 'spread'}), saved, help);
addEventListener('hashchange', () => location.reload());
start();

async function start() {
  if (entry.preview) {
    message(
      'Preview',
      'You will see one video, and mark the start and the end of every instance of an action in it. ' +
        'Accept the task to begin.',
    );
    return;
  }
  if (!('requestVideoFrameCallback' in HTMLVideoElement.prototype)) {
    message(
      'This browser is too old',
      'It cannot tell which frame of a video is on the screen. Use a current Chrome, Edge, Firefox or Safari.',
    );
    return;
  }
  if (!entry.token) {
    askForLink(main, 'To annotate, open the link that you were given.');
    return;
  }
  if (entry.crowd?.answered) {
    handBack('stored before');
    return;
  }
  try {
    await next();
  } catch (error) {
    failed(error);
  }
}

/** Tells the crowd that the task is done. */
function handBack(answer) {
  message('Saved', 'Your answer is stored.');
  submitToCrowd(entry.crowd, answer);
}

/** Asks the server, for as long as it takes. */
function persistent(action) {
  return persist(action, (milliseconds, error) => {
    message(
      'The server cannot be reached',
      `Nothing is lost: ${error.message}. Trying again\u2026`,
      true,
    );
    return untilOnline(milliseconds);
  });
}

/** How far this worker is; `left` does not count the task at hand. */
async function refresh(working) {
  me = await persistent(() => api.get('/api/me'));
  say(title, me.title);
  const {answered, left} = me.progress;
  put(
    progress,
    h('strong', {text: String(answered)}),
    ' answered',
    working ? h('span', {class: 'dot', text: '\u00b7'}) : null,
    working ? h('strong', {text: String(left)}) : null,
    working ? ' more after this' : null,
    me.standing.state === 'qualifying'
      ? h('span', {
          class: 'badge',
          text: 'qualification',
          title: 'Your first tasks are compared with known answers',
        })
      : null,
  );
  set(progress, 'title', `Signed in as ${me.name}`);
}

async function next() {
  show('saved', '');
  const {task, reason, retry_seconds: seconds} = await persistent(() => api.post('/api/next'));
  await refresh(Boolean(task));
  help.hidden = !task;
  if (task) {
    open(task);
  } else if (entry.crowd) {
    message(
      'There is nothing left to do here',
      (me.standing.reason ? `${me.standing.reason} ` : '') + 'Please return this task.',
    );
  } else if (reason === 'nothing') {
    message(
      'No task for you right now',
      'New ones come when the others are done or the next round opens. ' +
        'Leave this page open: it goes on by itself.',
      true,
    );
    setTimeout(() => next().catch(failed), 1000 * (seconds || 5));
  } else if (reason === 'stopped') {
    message(
      'Thank you, you are done',
      me.standing.reason || 'There are no more tasks for you in this campaign.',
    );
  } else {
    message('All done', 'The campaign is finished. Thank you for your work.');
  }
}

function open(task) {
  document.body.classList.add('working');
  view = new TaskView(task, {
    api,
    notices,
    owner: `${me.title} ${me.name}`,
    leaseSeconds: me.lease_seconds,
    maySkip: !entry.crowd,
    onSave: show,
    onDone: done,
  });
  put(main, view.element);
  document.title = `${task.label} \u2013 ${me.title}`;
  view.editor.focus();
  notices.announce(`Mark every instance of ${task.label}.`);
}

/** @param {{assignment_id: number} | null} receipt null: nothing was submitted */
function done(receipt) {
  if (entry.crowd && receipt) {
    handBack(String(receipt.assignment_id));
    return;
  }
  if (receipt) notices.show('Answer saved.', 'good');
  next().catch(failed);
}

/** @param {import('./saver.js').SaveState} state */
function show(state, text) {
  saved.className = `save ${state}`;
  say(saved, text);
}

function failed(error) {
  if (error.status === 401) askForLink(main, `The server says: ${error.message}.`);
  else message('This did not work', `${error.message}. Reload the page to try again.`);
}

function message(heading, text, busy = false) {
  document.body.classList.remove('working');
  document.title = me?.title ?? 'Annotate';
  show('saved', '');
  view = null;
  put(
    main,
    h(
      'section',
      {class: 'card message', role: 'status'},
      h('h1', {text: heading}),
      h('p', {text}),
      busy ? h('div', {class: 'busy', 'aria-hidden': 'true'}) : null,
    ),
  );
}
