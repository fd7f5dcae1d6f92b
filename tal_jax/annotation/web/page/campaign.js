/** The operators' page: how the campaign stands, its people, and any video's answers. */

import {Api} from './api.js';
import {h, put, say, set} from './dom.js';
import {askForLink, entryOf} from './link.js';
import {Notices} from './notice.js';
import {Overview} from './overview.js';
import {Remarks} from './remarks.js';
import {Review} from './review.js';
import {Videos} from './videos.js';
import {Workers} from './workers.js';

const EVERY = 5000; // milliseconds between looks at the campaign

const main = document.getElementById('main');
const bar = document.getElementById('bar');
const notices = new Notices();
const entry = entryOf(location.hash);
const api = new Api(entry.token);
const title = h('span', {class: 'title'});
const tabs = h('nav', {class: 'tabs', 'aria-label': 'Campaign'});
const fresh = h('span', {class: 'muted fresh', role: 'status'});
const pages = {};
let data = null;
let here = '';
let timer = 0;

const PAGES = {
  overview: 'Overview',
  videos: 'Videos and answers',
  remarks: 'Comments and skips',
  workers: 'Annotators',
};

put(
  bar,
  title,
  tabs,
  h('span', {class: 'spread'}),
  fresh,
  ...[
    ['activitynet', 'ActivityNet JSON'],
    ['csv', 'CSV'],
    ['label_studio', 'Label Studio JSON'],
  ].map(([format, name]) =>
    h('button', {
      type: 'button',
      class: 'button',
      text: name,
      title: `Download all decided answers as ${name}`,
      on: {click: () => download(format)},
    }),
  ),
);
addEventListener('hashchange', () => location.reload());
addEventListener('popstate', route);
begin();

async function begin() {
  if (!entry.token) {
    askForLink(main, "To run the campaign, open the operator's link that the server printed.");
    return;
  }
  try {
    const me = await api.get('/api/me');
    if (me.role !== 'operator') {
      put(
        main,
        h(
          'section',
          {class: 'card message'},
          h('h1', {text: 'This page is for operators'}),
          h('p', {text: 'Your link is an annotator\u2019s.'}),
          h('a', {class: 'button primary', href: `./${location.hash}`, text: 'Annotate'}),
        ),
      );
      return;
    }
    data = await api.get('/api/campaign');
  } catch (error) {
    if (error.status === 401) askForLink(main, `The server says: ${error.message}.`);
    else {
      put(
        main,
        h(
          'section',
          {class: 'card message'},
          h('h1', {text: 'The server cannot be reached'}),
          h('p', {text: `${error.message}. Trying again\u2026`}),
        ),
      );
      setTimeout(begin, EVERY);
    }
    return;
  }
  const world = {api, notices, go, refresh};
  pages.overview = new Overview(world);
  pages.videos = new Videos(world, data.classes);
  pages.remarks = new Remarks(world);
  pages.workers = new Workers(world);
  put(
    tabs,
    ...Object.entries(PAGES).map(([id, name]) =>
      h('a', {
        href: address({view: id}),
        'data-view': id,
        text: name,
        on: {
          click: (event) => {
            if (event.ctrlKey || event.metaKey || event.shiftKey) return;
            event.preventDefault();
            go({view: id});
          },
        },
      }),
    ),
  );
  say(title, data.title);
  draw();
  await route();
  look();
}

const address = (where) => `campaign?${new URLSearchParams(where)}${location.hash}`;

/** Goes to a page: {view} or {view: 'task', task: id}. */
function go(where) {
  if (here.startsWith('task') && pages.task && !pages.task.mayLeave()) return;
  history.pushState(null, '', address(where));
  route();
}

async function route() {
  const query = new URLSearchParams(location.search);
  const view = query.get('view') ?? 'overview';
  const name = view === 'task' ? `task ${query.get('task')}` : view in PAGES ? view : 'overview';
  if (name === here) return;
  pages.task?.close();
  pages.task = null;
  here = name;
  for (const tab of tabs.children) {
    set(
      tab,
      'aria-current',
      tab.dataset.view === name || (view === 'task' && tab.dataset.view === 'videos')
        ? 'page'
        : null,
    );
  }
  document.body.classList.toggle('working', view === 'task');
  if (view === 'task') {
    pages.task = new Review({api, notices, go, refresh}, Number(query.get('task')));
    put(main, pages.task.element);
    document.title = `Task ${query.get('task')} \u2013 ${data.title}`;
    await pages.task.load();
  } else {
    put(main, pages[name].element);
    document.title = `${PAGES[name]} \u2013 ${data.title}`;
    pages[name].enter?.();
    main.focus({preventScroll: true});
  }
}

/** Looks at the campaign now, and from now on every few seconds while the page is seen. */
async function look() {
  clearTimeout(timer);
  if (!document.hidden && (here === 'overview' || here === 'workers'))
    await refresh().catch(() => {});
  timer = setTimeout(look, EVERY);
}

async function refresh() {
  try {
    data = await api.get('/api/campaign');
    set(fresh, 'class', 'muted fresh');
    say(fresh, '');
    draw();
  } catch (error) {
    set(fresh, 'class', 'fresh away');
    say(fresh, error.retryable ? 'Server away, numbers are old' : error.message);
    throw error;
  }
}

function draw() {
  pages.overview.update(data);
  pages.videos.update(data);
  pages.remarks.update(data);
  pages.workers.update(data);
}

async function download(format) {
  try {
    const {name, blob} = await api.download(`/api/export/${format}`);
    const link = h('a', {href: URL.createObjectURL(blob), download: name});
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    notices.show(`${name} downloaded.`, 'good');
  } catch (error) {
    notices.show(`Not downloaded: ${error.message}.`, 'bad');
  }
}
