/** The annotator's page: one task after another. */

import {Api} from './api.js';
import {commandButton, h, put, say, set} from './dom.js';
import {randomId} from './draft.js';
import {askForLink, entryOf, submitToCrowd} from './link.js';
import {Notices} from './notice.js';
import {Correction, OwnAnswers, cannot} from './own_answers.js';
import {persist, untilOnline} from './retry.js';
import {TaskView} from './task_view.js';
import {bell, call, seen, why} from './waiting.js';

const UNDO_SECONDS = 10;

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
const SOMETHING_ELSE = '?';
let turn = 0; // counts what was opened: an answer that comes late is of an earlier one
let said = null; // what is waited for, as the page says it; null: nothing

const help = commandButton('help', () => view?.editor.run('help'), {label: 'Keys'});
help.hidden = true;
const mine = h('button', {
  type: 'button',
  class: 'button',
  text: 'My answers',
  title: 'See your answers, and correct those that are not decided',
  hidden: true,
  on: {click: () => showOwn()},
});
put(bar, title, progress, h('span', {class: 'spread'}), saved, mine, help);
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
  const asked = ++turn;
  show('saved', '');
  const {
    task,
    reason,
    retry_seconds: seconds,
    waiting,
  } = await persistent(() => api.post('/api/next'));
  await refresh(Boolean(task));
  if (asked !== turn) return; // something else was opened meanwhile
  help.hidden = !task;
  mine.hidden = Boolean(entry.crowd);
  if (task) {
    open(task);
  } else if (entry.crowd) {
    message(
      'There is nothing left to do here',
      (me.standing.reason ? `${me.standing.reason} ` : '') + 'Please return this task.',
    );
  } else if (reason === 'nothing') {
    idle(waiting, 1000 * (seconds || 5));
  } else if (reason === 'stopped') {
    message(
      'Thank you, you are done',
      me.standing.reason || 'There are no more tasks for you in this campaign.',
    );
  } else {
    message('All done', 'The campaign is finished. Thank you for your work.');
  }
}

/** Looks again and again. Nobody is given a task while they look at another tab. */
function idle(waiting, milliseconds) {
  if (said !== waiting) {
    message('No task for you right now', why(waiting), true, bell());
    document.title = `Waiting \u2013 ${me.title}`;
    said = waiting;
  }
  const asked = turn;
  setTimeout(async () => {
    if (asked !== turn) return; // something else was opened meanwhile
    try {
      if (document.hidden && me.standing.state !== 'qualifying') {
        await refresh(false);
        if (!me.progress.left) {
          idle(waiting, milliseconds);
          return;
        }
        message('A task is there', 'You get it when you are back.');
        call();
        await seen();
        said = null; // called already
      }
      await next();
    } catch (error) {
      failed(error);
    }
  }, milliseconds);
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
  const labels = task.lanes.map(({label}) => label).join(', ');
  document.title = `${labels} \u2013 ${me.title}`;
  if (said !== null) call();
  said = null;
  view.editor.focus();
  notices.announce(`Mark every instance of ${labels}.`);
}

/**
 * @param {{assignment_id: number} | null} receipt null: nothing was submitted
 * @param {{submissionId: string, task: number, body: string, putOff?: number}} given what was
 */
function done(receipt, given) {
  if (entry.crowd && receipt) {
    handBack(String(receipt.assignment_id));
    return;
  }
  if (receipt) {
    notices.show('Answer saved.', 'good', {
      label: 'Undo',
      seconds: UNDO_SECONDS,
      run: () => undo(given).catch(failed),
    });
  }
  next()
    .then(() => {
      if (given?.putOff && view?.task?.id === given.putOff) {
        notices.show('There is no other video for you right now.');
      }
    })
    .catch(failed);
}

/** Takes the last answer back, and goes on with it as a draft. */
async function undo({submissionId, task, body}) {
  await leave();
  try {
    await api.post('/api/undo', {submission_id: submissionId});
    const draft = {...JSON.parse(body), submissionId: randomId()};
    await api.put(`/api/tasks/${task}/draft`, {revision: 1, body: JSON.stringify(draft)});
    notices.show('Undone: your answer is not submitted.');
  } catch (error) {
    notices.show(`Not undone: ${error.message}.`, 'bad');
  }
  await next();
}

/** Leaves what is on the screen; a task at hand comes back by itself, with its draft. */
async function leave() {
  turn += 1;
  const before = view;
  view = null;
  await before?.saver?.flush().catch(() => {});
  before?.close();
}

async function showOwn() {
  if (view?.abort) return; // an answer is on its way
  await leave();
  said = null;
  help.hidden = true;
  mine.hidden = true;
  show('saved', '');
  document.body.classList.remove('working');
  document.title = `Your answers \u2013 ${me.title}`;
  const back = () => leave().then(next).catch(failed);
  const list = new OwnAnswers({api, notices, open: correct, back});
  put(main, list.element);
  await list.load().catch((error) => cannot(main, error));
}

async function correct({task_id: id}) {
  try {
    const found = await api.get(`/api/mine/${id}`);
    await leave();
    document.body.classList.add('working');
    view = new Correction(found, {api, notices, back: () => showOwn()});
    put(main, view.element);
    help.hidden = false;
    view.editor.focus();
  } catch (error) {
    notices.show(`It cannot be corrected: ${error.message}.`, 'bad');
    await showOwn();
  }
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

function message(heading, text, busy = false, more = null) {
  if (said !== null) said = SOMETHING_ELSE;
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
      more,
      busy ? h('div', {class: 'busy', 'aria-hidden': 'true'}) : null,
    ),
  );
}
