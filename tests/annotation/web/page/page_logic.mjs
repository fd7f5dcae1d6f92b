// What the page's modules compute, apart from the browser: run by test_logic.py, one test a
// function of `tests`. PAGE names the folder with the modules.
import assert from 'node:assert/strict';
import test from 'node:test';
import {pathToFileURL} from 'node:url';

const load = (name) => import(pathToFileURL(`${process.env.PAGE}/${name}.js`).href);
const frames = await load('frames');
const segments = await load('segments');
const marks = await load('marks');
const history = await load('history');
const draft = await load('draft');
const sheets = await load('sheet');
const {Session} = await load('session');
const view = await load('view');
const keys = await load('keys');
const retry = await load('retry');
const {Saver} = await load('saver');
const {entryOf} = await load('link');
const {steps} = await load('curve');

// A generator of numbers in [0, 1) with a seed: the tests draw the same cases every time.
function random(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
const integer = (draw, low, high) => low + Math.floor(draw() * (high - low + 1));

test('frames: hand values', () => {
  const clip = frames.clipOf({fps: 10, duration: 139.4, num_frames: 1394});
  assert.deepEqual(clip, {fps: 10, duration: 139.4, count: 1394});
  assert.equal(frames.middle(clip, 3), 0.35);
  assert.equal(frames.shownFrame(clip, 0.3), 3);
  assert.equal(frames.shownFrame(clip, 0.2999999), 3);
  assert.equal(frames.frameAt(clip, 0.3), 3);
  assert.equal(frames.frameAt(clip, 0.29), 2);
  assert.equal(frames.toSeconds(clip, 1394), 139.4);
  assert.equal(frames.timecode(75.0304), '01:15.030');
  assert.equal(frames.timecode(59.9996), '01:00.000');
  assert.equal(frames.timecode(3599.9994), '59:59.999');
  assert.equal(frames.timecode(3599.9996), '1:00:00.000');
  assert.equal(frames.timecode(6039.25), '1:40:39.250');
  assert.equal(frames.shortTime(6039.26, true), '1:40:39.3');
  assert.equal(frames.shortTime(3599.6), '1:00:00');
  assert.equal(frames.shortTime(59.96, true), '1:00.0');
  assert.equal(frames.shortTime(9.6), '0:10');
});

test('frames: a time that somebody typed', () => {
  for (const [text, seconds] of [
    ['7', 7],
    ['90.5', 90.5],
    ['1:05', 65],
    [' 01:05.250 ', 65.25],
    ['1:00:02,5', 3602.5],
    ['75:00', 4500],
    ['.5', 0.5],
    ['0', 0],
  ])
    assert.equal(frames.parseTime(text), seconds, text);
  for (const text of ['', 'x', '1:', ':5', '1:60', '1:60:00', '1:2:3:4', '-3', '1e3', '1.2.3', '5 s'])
    assert.equal(frames.parseTime(text), null, text);
});

test('frames: a frame is found by the time that is shown for it', () => {
  const draw = random(5);
  for (let i = 0; i < 2000; i++) {
    const fps = [10, 12.5, 24000 / 1001, 25, 30000 / 1001, 59.94, 120][integer(draw, 0, 6)];
    const clip = frames.clipOf({fps, duration: 9000});
    const k = integer(draw, 0, clip.count - 1);
    assert.equal(frames.frameOfTime(clip, frames.parseTime(frames.timecode(k / fps))), k);
  }
  assert.equal(frames.frameOfTime({fps: 25, duration: 4, count: 100}, 1e9), 99);
});

test('frames: a last frame that the duration does not cover is no frame of the clip', () => {
  assert.equal(frames.clipOf({fps: 25, duration: 4, num_frames: 101}).count, 100);
  assert.equal(frames.clipOf({fps: 25, duration: 4.02, num_frames: 101}).count, 101);
  assert.equal(frames.clipOf({fps: 25, duration: 4, num_frames: 0}).count, 100);
  assert.equal(frames.clipOf({fps: 1, duration: 0.2}).count, 1);
});

test('frames: every frame comes back from its time, every segment is one the server takes', () => {
  const draw = random(1);
  for (let i = 0; i < 3000; i++) {
    const fps = [10, 12.5, 24000 / 1001, 25, 30000 / 1001, 59.94][integer(draw, 0, 5)];
    const duration = 0.2 + draw() * 7000;
    const clip = frames.clipOf({
      fps,
      duration,
      num_frames: draw() < 0.5 ? 0 : Math.round(duration * fps) + integer(draw, -1, 1),
    });
    const k = integer(draw, 0, clip.count - 1);
    assert.equal(frames.frameAt(clip, k / fps), k);
    assert.equal(frames.shownFrame(clip, Math.round((k / fps) * 1e6) / 1e6), k); // microseconds
    if (k < clip.count - 1) assert.equal(frames.frameAt(clip, frames.middle(clip, k)), k);
    const b = integer(draw, k + 1, clip.count);
    const [start, end] = [frames.toSeconds(clip, k), frames.toSeconds(clip, b)];
    assert.ok(0 <= start && start < end && end <= duration && end - start >= 1e-3);
    assert.deepEqual([frames.toBoundary(clip, start), frames.toBoundary(clip, end)], [k, b]);
  }
});

test('segments: any edits leave sorted segments inside the clip', () => {
  const draw = random(2);
  for (let round = 0; round < 200; round++) {
    const count = integer(draw, 1, 60);
    let all = [];
    for (let id = 1; id <= 30; id++) {
      const at = integer(draw, -5, count + 5);
      const any = all.length ? all[integer(draw, 0, all.length - 1)].id : 0;
      const before = all;
      const kept = JSON.stringify(before);
      all = [
        () => segments.add(all, id, at, integer(draw, -5, count + 5), count),
        () => segments.setEdge(all, any, draw() < 0.5 ? 'start' : 'end', at, count),
        () => segments.moveTo(all, any, at, count),
        () => segments.remove(all, any),
      ][integer(draw, 0, 3)]();
      assert.equal(JSON.stringify(before), kept, 'a list was changed');
      for (const [i, s] of all.entries()) {
        assert.ok(0 <= s.start && s.start < s.end && s.end <= count, JSON.stringify([s, count]));
        if (i) assert.ok(all[i - 1].start <= s.start);
      }
    }
    // An independent, slow count of the overlaps.
    const slow = all.filter((p) => all.some((q) => q !== p && p.start < q.end && q.start < p.end));
    assert.deepEqual([...segments.overlapping(all)].sort(), slow.map(({id}) => id).sort());
  }
});

test('segments: an edge stops a frame before the other; a move keeps the length', () => {
  const one = [{id: 1, start: 10, end: 20}];
  assert.deepEqual(segments.setEdge(one, 1, 'start', 25, 100), [{id: 1, start: 19, end: 20}]);
  assert.deepEqual(segments.setEdge(one, 1, 'end', 3, 100), [{id: 1, start: 10, end: 11}]);
  assert.deepEqual(segments.moveTo(one, 1, 95, 100), [{id: 1, start: 90, end: 100}]);
  assert.equal(segments.setEdge(one, 1, 'end', 20, 100), one);
});

test('segments: the neighbour of the selected one, or of the frame', () => {
  const all = [
    {id: 1, start: 10, end: 20},
    {id: 2, start: 40, end: 50},
  ];
  assert.equal(segments.neighbour(all, 1, 0, 1).id, 2);
  assert.equal(segments.neighbour(all, 2, 0, 1), null);
  assert.equal(segments.neighbour(all, null, 30, 1).id, 2);
  assert.equal(segments.neighbour(all, null, 30, -1).id, 1);
  assert.equal(segments.neighbour([], null, 30, -1), null);
});

test('marks: start and end become a segment of whole frames, in either order', () => {
  const begun = marks.begin(marks.EMPTY, 12);
  assert.match(marks.obstacle(begun), /end/);
  const done = marks.finish(begun, 15, 100);
  assert.deepEqual(done.segments, [{id: 1, start: 12, end: 16}]);
  assert.equal(done.pending, null);
  assert.deepEqual(marks.finish(begun, 9, 100).segments, [{id: 1, start: 9, end: 13}]);
  assert.deepEqual(marks.finish(begun, 12, 100).segments, [{id: 1, start: 12, end: 13}]);
  assert.equal(marks.finish(marks.EMPTY, 15, 100), marks.EMPTY);
  const clip = {fps: 25, duration: 4, count: 100};
  assert.deepEqual(marks.toAnswer(done, clip), [[12 / 25, 16 / 25]]);
  assert.deepEqual(marks.fromSeconds([[0.47, 0.65]], clip).segments, [{id: 1, start: 12, end: 16}]);
});

test('marks: one ends and the next begins, in neighbouring frames', () => {
  const twice = marks.split(marks.begin(marks.EMPTY, 12), 15, 100);
  assert.deepEqual([twice.segments, twice.pending], [[{id: 1, start: 12, end: 16}], 16]);
  const done = marks.finish(twice, 20, 100);
  assert.deepEqual(done.segments.at(-1), {id: 2, start: 16, end: 21});
  assert.equal(segments.overlapping(done.segments).size, 0);
  assert.equal(marks.split(marks.begin(marks.EMPTY, 15), 12, 100).pending, 16); // backwards
});

test('marks: "not here" takes the segments away, a new segment takes "not here" away', () => {
  const one = marks.addSegment(marks.EMPTY, 3, 9, 100);
  const absent = marks.setAbsent(one, true);
  assert.deepEqual([absent.segments, absent.absent, marks.obstacle(absent)], [[], true, '']);
  assert.notEqual(marks.obstacle(marks.setAbsent(absent, false)), '');
  const again = marks.addSegment(absent, 3, 9, 100);
  assert.deepEqual([again.absent, again.segments[0].id], [false, 2]);
});

test('history: undo and redo walk through all states; edits with one key are one step', () => {
  let h = history.start(0);
  for (let i = 1; i <= 3; i++) h = history.record(h, i);
  for (let i = 4; i <= 9; i++) h = history.record(h, i, 'drag');
  h = history.seal(h);
  for (let i = 10; i <= 12; i++) h = history.record(h, i, 'drag');
  const back = [];
  for (let u = history.undo(h); ; u = history.undo(u)) {
    back.push(u.present);
    if (!u.past.length) {
      assert.equal(history.undo(u), u);
      h = u;
      break;
    }
  }
  assert.deepEqual(back, [9, 3, 2, 1, 0]);
  const on = [];
  while (h.future.length) on.push((h = history.redo(h)).present);
  assert.deepEqual(on, [1, 2, 3, 9, 12]);
  assert.equal(history.redo(h), h);
  assert.deepEqual(history.record(history.undo(h), 99).future, []);
  assert.equal(history.record(h, h.present), h);
});

test('draft: what was written is read; what is no draft is not', () => {
  const mine = {
    segments: [
      [3, 9],
      [3, 9],
    ],
    pending: 7,
    absent: false,
    comment: '\u{1F600}<b>',
    frame: 99,
    submissionId: draft.randomId(),
    page: 'p',
  };
  assert.match(mine.submissionId, /^[0-9a-f]{32}$/);
  assert.deepEqual(draft.decode(draft.encode(mine), 100), mine);
  for (const change of [
    {segments: [[3, 3]]},
    {segments: [[3, 101]]},
    {segments: [[-1, 3]]},
    {segments: [['3', 4]]},
    {segments: null},
    {pending: 100},
    {pending: 1.5},
    {absent: 1},
    {comment: null},
    {frame: 100},
    {submissionId: ''},
    {submissionId: 'x'.repeat(65)},
    {format: 2},
  ]) {
    assert.equal(
      draft.decode(JSON.stringify({format: 1, ...mine, ...change}), 100),
      null,
      JSON.stringify(change),
    );
  }
  for (const text of ['', 'null', '[]', '7', '{', '{"format":1}'])
    assert.equal(draft.decode(text, 100), null);
});

test('draft: the later copy wins, the server\u2019s where they are level', () => {
  const [old, late] = [
    {revision: 3, body: 'a'},
    {revision: 4, body: 'b'},
  ];
  assert.equal(draft.newest(old, late), late);
  assert.equal(draft.newest(late, old), late);
  assert.equal(draft.newest(old, {...old}), old);
  assert.equal(draft.newest(null, late), late);
  assert.equal(draft.newest(old, null), old);
  assert.equal(draft.newest(null, null), null);
});

test('draft: of several classes, each by its task', () => {
  const marked = {segments: [[3, 9]], pending: null, absent: false};
  const mine = {
    lanes: {4: marked, 11: {segments: [], pending: 7, absent: true}},
    active: 1,
    comment: '',
    frame: 99,
    submissionId: draft.randomId(),
    page: 'p',
  };
  const read = draft.decode(draft.encode(mine), 100);
  assert.deepEqual(read, mine);
  assert.deepEqual(draft.markedOf(read, 4), marked);
  assert.equal(draft.markedOf(read, 5), undefined);
  assert.equal(draft.markedOf(null, 4), undefined);
  const older = draft.decode(draft.encode({...mine, lanes: undefined, ...marked}), 100);
  assert.deepEqual(draft.markedOf(older, 4).segments, [[3, 9]]);
  for (const change of [
    {lanes: null},
    {lanes: {}},
    {lanes: []},
    {lanes: 'four'},
    {lanes: {4: null}},
    {lanes: {4: 7}},
    {lanes: {4: marked, 11: {...marked, segments: [[3, 101]]}}},
    {lanes: {4: {...marked, pending: 100}}},
    {active: -1},
    {active: '0'},
    {submissionId: ''},
  ]) {
    const text = JSON.stringify({format: 1, ...mine, ...change});
    assert.equal(draft.decode(text, 100), null, text);
  }
});

test('sheet: segments of all classes in the order of time; what is missing is named', () => {
  const labels = ['enter', 'leave', 'run'];
  const one = marks.addSegment(marks.addSegment(marks.EMPTY, 30, 40, 100), 5, 9, 100);
  const sheet = [one, marks.addSegment(marks.EMPTY, 5, 7, 100), marks.EMPTY];
  assert.deepEqual(
    sheets.spread(sheet).map(({id, lane, number}) => [id, lane, number]),
    [
      ['1.1', 1, 1],
      ['0.2', 0, 1],
      ['0.1', 0, 2],
    ],
  );
  assert.equal(sheets.obstacle(sheet, labels), 'No answer yet: run.');
  assert.equal(sheets.firstMissing(sheet), 2);
  const begun = sheets.replace(sheet, 1, marks.begin(sheet[1], 50));
  assert.match(sheets.obstacle(begun, labels), /end \(O\) of leave, .*No answer yet: run\.$/);
  assert.equal(sheets.firstMissing(begun), 1);
  assert.equal(sheets.changed(sheet, begun), 1);
  assert.equal(sheets.changed(sheet, sheet), -1);
  assert.equal(sheets.replace(sheet, 1, sheet[1]), sheet);
  const done = sheets.replace(sheet, 2, marks.setAbsent(marks.EMPTY, true));
  assert.deepEqual([sheets.obstacle(done, labels), sheets.firstMissing(done)], ['', -1]);
  assert.equal(sheets.obstacle([marks.EMPTY], ['']), marks.obstacle(marks.EMPTY));
});

// A session at a video whose frame is in the test's hands.
function atWork(classes) {
  const made = {said: [], changes: 0, video: {here: 0, playing: false, go: (at) => at}};
  const notices = {announce: (text) => made.said.push(text), show: (text) => made.said.push(text)};
  made.session = new Session(
    {fps: 10, duration: 10, count: 100},
    classes.map((label) => ({label, marks: marks.EMPTY, suggestions: []})),
    made.video,
    notices,
    {draw: () => {}, changed: () => made.changes++},
  );
  return made;
}

test('session: marks go to the active class, undo goes back through all of them', () => {
  const {session, video, said} = atWork(['enter', 'leave']);
  const at = (frame, action) => ((video.here = frame), action());
  at(3, () => session.begin());
  session.activate(1);
  at(5, () => session.begin());
  at(7, () => session.finish());
  session.activate(0);
  at(9, () => session.finish());
  const spans = () =>
    session.sheet.map(({segments}) => segments.map(({start, end}) => [start, end]));
  assert.deepEqual(spans(), [[[3, 10]], [[5, 8]]]);
  session.selectNext(1); // after the segment that is selected, of another class
  assert.deepEqual([session.active, session.one.start], [1, 5]);
  session.nudge('end', 2);
  session.nudge('end', 1);
  session.endGesture();
  session.select(session.sheet[0].segments[0].id, true, 0);
  session.nudge('end', 1); // the same numbers of another class: a step of its own
  assert.deepEqual(spans(), [[[3, 11]], [[5, 11]]]);
  session.undo();
  assert.deepEqual([spans(), session.active], [[[[3, 10]], [[5, 11]]], 0]);
  session.undo();
  assert.deepEqual([spans(), session.active], [[[[3, 10]], [[5, 8]]], 1]);
  session.remove(session.sheet[0].segments[0].id, 0);
  assert.deepEqual([spans(), session.active], [[[], [[5, 8]]], 0]);
  session.toggleAbsent(1);
  assert.deepEqual([session.active, session.sheet[1].absent], [1, true]);
  assert.ok(said.some((text) => text.startsWith('leave: ')));
  session.locked = true;
  session.add(50, 60, 0);
  session.undo();
  assert.deepEqual(spans(), [[], []]);
  session.activate(7);
  assert.equal(session.active, 0);
});

test('view: zoom keeps what is under the pointer; no move leaves the clip', () => {
  const draw = random(3);
  for (let i = 0; i < 500; i++) {
    const count = integer(draw, 1, 5000);
    let now = view.whole(count);
    for (let k = 0; k < 10; k++) {
      const at = now.from + draw() * (now.to - now.from);
      const next = view.zoom(now, 0.3 + 3 * draw(), at);
      const [a, b] = [view.share(now, at), view.share(next, at)];
      if (next.from > 1e-6 && next.to < count - 1e-6) assert.ok(Math.abs(a - b) < 1e-6);
      now = view.pan(next, (draw() - 0.5) * count);
      assert.ok(now.from >= 0 && now.to <= count + 1e-6 && now.from < now.to);
      const frame = integer(draw, 0, count - 1);
      const seen = view.reveal(now, frame);
      assert.ok(seen.from <= frame && frame <= seen.to);
    }
  }
});

test('view: the ruler says hours, also where it is closest', () => {
  const far = view.ticks({from: 36000, to: 72000, count: 72000}, 10, 1000);
  assert.equal(far.find(({label}) => label).label, '1:00:00');
  const close = view.ticks({from: 90000, to: 90020, count: 180000}, 25, 2000);
  assert.equal(close.find(({label}) => label).label, '1:00:00.00');
});

test('view: the ruler has readable marks at whole steps', () => {
  const marked = view.ticks({from: 0, to: 1394, count: 1394}, 10, 1000).filter(({label}) => label);
  assert.deepEqual(marked.slice(0, 3), [
    {at: 0, label: '0:00'},
    {at: 150, label: '0:15'},
    {at: 300, label: '0:30'},
  ]);
  assert.equal(
    view.ticks({from: 20, to: 40, count: 1394}, 10, 1000).find(({label}) => label).label,
    '0:02.0',
  );
});

test('keys: no chord has two meanings; Shift is in the character or in the chord', () => {
  const all = keys.COMMANDS.flatMap(({keys: chords}) => chords);
  assert.equal(new Set(all).size, all.length);
  const press = (key, more = {}) =>
    keys.commandOf(
      keys.chordOf({key, ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, ...more}),
    );
  assert.equal(press(' '), 'play');
  assert.equal(press('I', {shiftKey: false}), 'begin'); // caps lock
  assert.equal(press('?', {shiftKey: true}), 'help');
  assert.equal(press('ArrowLeft', {shiftKey: true}), 'backMany');
  assert.equal(press('Q', {shiftKey: true}), 'startBackMany');
  assert.equal(press('z', {ctrlKey: true}), 'undo');
  assert.equal(press('Z', {metaKey: true, shiftKey: true}), 'redo');
  assert.equal(press('i', {ctrlKey: true}), '');
  assert.equal(press('i', {altKey: true}), '');
  assert.equal(press('ArrowLeft', {altKey: true}), 'secondBack');
  assert.equal(press('ArrowRight', {ctrlKey: true}), 'tenForward');
  assert.equal(press('ArrowRight', {altKey: true, shiftKey: true}), 'tenForward');
});

test('keys: by their place where the layout prints no Latin letter on them', () => {
  const press = (key, code, more = {}) =>
    keys.commandOf(
      keys.chordOf({
        key,
        code,
        ctrlKey: false,
        metaKey: false,
        altKey: false,
        shiftKey: false,
        ...more,
      }),
    );
  assert.equal(press('\u0448', 'KeyI'), 'begin'); // Russian
  assert.equal(press('\u0429', 'KeyO', {shiftKey: false}), 'finish'); // with caps lock
  assert.equal(press('\u044f', 'KeyZ', {ctrlKey: true}), 'undo');
  assert.equal(press('\u042f', 'KeyZ', {ctrlKey: true, shiftKey: true}), 'redo');
  assert.equal(press('\u0419', 'KeyQ', {shiftKey: true}), 'startBackMany');
  assert.equal(press('\u0431', 'Comma'), 'slower');
  assert.equal(press('\u03b9', 'KeyI'), 'begin'); // Greek
  assert.equal(press(';', 'KeyQ'), 'startBack');
  assert.equal(press('\u05df', 'KeyI'), 'begin'); // Hebrew
  assert.equal(press('Process', 'KeyI'), 'begin'); // an input method for Chinese or Japanese
  assert.equal(press('\u00e9', 'Digit2'), 'class2'); // French
  // What is printed has a meaning, or is Latin: then its place has none.
  assert.equal(press('y', 'KeyZ', {ctrlKey: true}), 'redo'); // German
  assert.equal(press('a', 'KeyQ'), '');
  assert.equal(press(',', 'KeyM'), 'slower'); // French
  assert.equal(press('@', 'Digit2', {shiftKey: true}), '');
  assert.equal(press('Shift', 'ShiftLeft', {shiftKey: true}), '');
  assert.equal(press('F5', 'F5'), '');
  assert.equal(press('i', ''), 'begin'); // no place is told
});

test('retry: waits grow to a bound; only what may pass is tried again', async () => {
  assert.equal(retry.delay(0, 0), 500);
  assert.equal(retry.delay(2, 1), 4000);
  assert.equal(retry.delay(40, 1), 30000);
  const waits = [];
  let left = 3;
  const result = await retry.persist(
    async () => {
      if (left--) throw Object.assign(new Error('away'), {retryable: true});
      return 'done';
    },
    async (milliseconds) => waits.push(milliseconds),
    () => 1,
  );
  assert.deepEqual([result, waits], ['done', [1000, 2000, 4000]]);
  await assert.rejects(
    retry.persist(
      async () => {
        throw new Error('no');
      },
      async () => assert.fail('waited'),
    ),
    /no/,
  );
});

// A Saver whose timers and server are in the test's hands.
function saver(answers) {
  const made = {sent: [], states: [], timers: []};
  made.saver = new Saver(
    4,
    async (saved) => {
      made.sent.push([saved.revision, saved.body]);
      const answer = answers.shift() ?? true;
      if (answer instanceof Error) throw answer;
      return answer;
    },
    {
      onState: (state) => made.states.push(state),
      random: () => 1,
      quiet: 500,
      later: (action, milliseconds) => made.timers.push({action, milliseconds}),
      never: () => {
        made.timers.length = 0;
      },
    },
  );
  made.tick = async () => {
    const {action, milliseconds} = made.timers.pop();
    await action();
    return milliseconds;
  };
  return made;
}
const away = () => Object.assign(new Error('away'), {retryable: true});

test('saver: changes in a row are sent once, with a rising revision', async () => {
  const made = saver([]);
  made.saver.change('a');
  made.saver.change('b');
  assert.equal(made.timers.length, 1);
  assert.equal(await made.tick(), 500);
  made.saver.change('c');
  await made.tick();
  assert.deepEqual(made.sent, [
    [6, 'b'],
    [7, 'c'],
  ]);
  assert.deepEqual(made.states, ['saving', 'saved', 'saving', 'saved']);
  assert.equal(made.saver.unsent, null);
});

test('saver: a server that is away is tried later and later, with the newest text', async () => {
  const made = saver([away(), away(), true]);
  made.saver.change('a');
  await made.tick();
  assert.equal(made.saver.state, 'unsaved');
  made.saver.change('b');
  assert.deepEqual(made.saver.unsent, {revision: 6, body: 'b'});
  const flushed = made.saver.flush();
  assert.equal(await made.tick(), 0);
  assert.equal(await made.tick(), 2000);
  await flushed;
  assert.deepEqual(made.sent, [
    [5, 'a'],
    [6, 'b'],
    [6, 'b'],
  ]);
  assert.equal(made.saver.state, 'saved');
});

test('saver: a refusal ends it, and so does a draft of another window', async () => {
  for (const answer of [new Error('not yours'), false]) {
    const made = saver([answer]);
    made.saver.change('a');
    const flushed = assert.rejects(made.saver.flush());
    await made.tick();
    await flushed;
    assert.equal(made.saver.state, 'lost');
    made.saver.change('b');
    assert.equal(made.timers.length, 0);
    await assert.rejects(made.saver.flush());
  }
});

test('link: tokens of links, of crowds, and none', () => {
  assert.deepEqual(entryOf('#abc-_9'), {token: 'abc-_9', preview: false, crowd: null});
  assert.equal(entryOf('http://host:8000/#abc').token, 'abc');
  assert.equal(entryOf('').token, '');
  assert.equal(entryOf('#<script>').token, '');
  assert.deepEqual(entryOf('#token=t&submit_to=https%3A%2F%2Fw.example&assignment=a1'), {
    token: 't',
    preview: false,
    crowd: {submitTo: 'https://w.example', assignment: 'a1', answered: false},
  });
  assert.equal(entryOf('#token=t&submit_to=https%3A%2F%2Fw&answered=1').crowd.answered, true);
  assert.equal(entryOf('#preview=1').preview, true);
});

test('curve: an axis starts at 0, ends at or above the most, in few round steps', () => {
  assert.deepEqual(steps(30), [0, 10, 20, 30]);
  assert.deepEqual(steps(0.322), [0, 0.1, 0.2, 0.3, 0.4]);
  assert.deepEqual(steps(2, true), [0, 1, 2]); // no half videos
  assert.deepEqual(steps(12, true), [0, 5, 10, 15]);
  const draw = random(4);
  for (let i = 0; i < 500; i++) {
    const most = 10 ** (6 * draw() - 3);
    const found = steps(most);
    assert.ok(
      found[0] === 0 && found.at(-1) >= most * (1 - 1e-6) && found.length <= 7,
      String(most),
    );
  }
});
