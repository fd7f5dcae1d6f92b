"""The campaign: what may happen to a video that the learner asks for, until it is labelled.

A round is the learner's batch of one step. A task asks for all instances of one class in one video
[paper, Sec. 3.3]; k annotators answer it independently.

    video:  unlabelled -> asked -> labelled; labelled -> asked;
            any -> excluded -> unlabelled | asked
    round:  open -> complete -> trained
    task:   open -> leased -> submitted -> open (more answers are wanted) | agreed | disputed
            leased -> open; open -> disputed; disputed | agreed | adjudicated -> adjudicated | open;
            any -> excluded -> open
    lease:  held -> released | expired | submitted

- A task has places, as many as answers are `wanted`; an answer or a held lease takes one. It is
  `open` while a place is free, `leased` while all are taken and a lease is held, `submitted` once
  all answers are there. `submitted` lasts only inside the transaction of the last answer, which
  also decides: `agreed` if a majority agrees (`consensus`); else one place more, up to the policy's
  limit and as long as somebody is left who can answer (`people`); else `disputed`, for an operator
  to adjudicate. An operator may also take an open task that nobody is at out of the queue
  (`disputed`), and correct what is decided (`adjudicated`, again and again).
- A worker visits one video at a time: they hold a lease on each of its tasks that wants an answer
  from them, and answer all its classes at once. They answer no task twice and never get a video
  again that they released, but may get another class of a video that they have answered. (A
  crowd's worker is paid by the answer, and visits one class.) A lease that was not renewed in time
  expires when someone next asks for work, not before: a worker who is late but not yet replaced
  goes on. Whoever let a visit expire gets it (with the draft) back as long as there is a free
  place; otherwise a sole annotator who closed the lid could never finish.
- An answer is identified by an id that the client chose. Sending it again is acknowledged and
  changes nothing.
- A video is labelled when all its tasks are decided. A round is complete when all its tasks are
  decided, or when the learner closes it at its quorum (`rounds`); its last tasks then stay open
  beside those of the next round. That one opens when the last is trained; opening or training a
  round twice the same way is acknowledged and changes nothing, so a learner that restarts from an
  older state replays. No video is asked for in two rounds.
- A gold task asks like any other, but its answer is known: it measures the worker (`gold`). It
  stays `open` for ever, has room for everybody, decides nothing and belongs to no round; its video
  is in no round. It alone may come back to who released it, while they have yet to qualify.
- A worker is qualifying, working or stopped, which follows from their answers (`standing`). One
  who is stopped gets no more tasks, and their answers do not count (`counting`): what is undecided
  has a place more. An operator may reinstate them.
- A video of which nothing can be learnt is excluded, with its tasks (`exclusions`). An operator may
  include it again, and may ask again for what is decided or in dispute (`second_thoughts`).

Every function is one transaction: when it returns, what it did is on the disk; when it raises,
nothing happened. Here are the pool and the rounds; `leases`, `answers`, `decisions`, `gold`,
`standing` and `workers` have the rest.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from tal_jax.annotation import store
from tal_jax.annotation.errors import Conflict, IllegalTransition, InvalidAnswer, NotFound
from tal_jax.annotation.rules import states


class Policy(NamedTuple):
  annotators: int = 3  # answers wanted of a task at first
  max_annotators: int = 5  # answers wanted at most, before an operator decides
  min_agreement: float = 0.5  # F1 from which two answers agree
  cluster_tiou: float = 0.5  # of the consensus
  match_tiou: float = 0.5  # of the F1
  lease_seconds: float = 900.0  # after the grant or the last renewal
  max_segments: int = 500  # of one answer
  max_comment: int = 2000  # characters
  max_draft: int = 100_000  # characters
  gold_before: int = 0  # gold tasks to answer, and pass, before real work
  gold_every: int = 0  # one gold task among so many real ones; 0: none
  min_gold_f1: float = 0.5  # mean F1 with the gold answers, below which a worker is stopped
  min_worker_f1: float = 0.0  # mean F1 with the final answers, below which a worker is stopped
  min_compared: int = 5  # answers compared from which on these bounds hold; gold: see standing


class Campaign(NamedTuple):
  """What every function needs. `clock` gives seconds since the epoch, read inside transactions."""

  store: store.Store
  policy: Policy
  clock: Callable[[], float]


class Video(NamedTuple):
  name: str  # unique
  path: str
  duration: float  # seconds
  fps: float
  media_path: str = ""  # what a browser plays; "": the video itself
  width: int = 0  # pixels as shown; 0: not known
  height: int = 0
  num_frames: int = 0
  ready: bool = True  # a browser can play media_path; False: it is yet to be made (`preparing`)


class Ask(NamedTuple):
  """One task that the learner wants done."""

  video: str  # name
  label: str  # class name: the intended action
  hint: tuple[float, float] | None = None  # seconds, where the action is known to be


def add_classes(campaign: Campaign, classes: Iterable[tuple[str, str]]) -> None:
  """Adds (name, instructions); new instructions replace those of a known name."""
  with campaign.store.write() as db:
    db.executemany("INSERT INTO classes (name, instructions) VALUES (?, ?) "
                   "ON CONFLICT (name) DO UPDATE SET instructions = excluded.instructions", classes)


def add_videos(campaign: Campaign, videos: Iterable[Video], *, correct: bool = False) -> None:
  """Adds videos; a known name may come again with other paths and sizes only. Raises Conflict.

  With `correct` the duration and the frame rate of a video that was never asked for may differ.
  """
  with campaign.store.write() as db:
    for video in videos:
      if not (0 < video.duration < float("inf") and 0 < video.fps < float("inf")) or min(
          video.width, video.height, video.num_frames) < 0:
        raise InvalidAnswer(f"{video.name}: duration and fps must be positive and finite, width, "
                            "height and num_frames not negative")
      if correct:
        db.execute("UPDATE videos SET duration = ?, fps = ? WHERE name = ? "
                   "AND id NOT IN (SELECT video_id FROM tasks)",
                   (video.duration, video.fps, video.name))
      known = db.execute("SELECT duration, fps FROM videos WHERE name = ?",
                         (video.name,)).fetchone()
      if known is not None and tuple(known) != (video.duration, video.fps):
        raise Conflict(f"{video.name} is known with another duration or frame rate {tuple(known)}: "
                       f"not {(video.duration, video.fps)}: its answers would not fit; put the "
                       "file back as it was, or give the changed one another name")
      db.execute(
          "INSERT INTO videos (name, path, duration, fps, media_path, width, height, num_frames) "
          "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET path = excluded.path, "
          "media_path = excluded.media_path, width = excluded.width, height = excluded.height, "
          "num_frames = excluded.num_frames",
          video._replace(media_path=video.media_path or video.path)[:-1])
      db.execute("DELETE FROM preparing WHERE video_id = (SELECT id FROM videos WHERE name = ?)"
                 if video.ready else "INSERT INTO preparing (video_id) SELECT id FROM videos "
                 "WHERE name = ? ON CONFLICT DO NOTHING", (video.name,))


def open_round(campaign: Campaign, number: int, asks: Sequence[Ask]) -> None:
  """Opens the learner's round `number` (0, 1, ...), in the order of the learner's ranking.

  The same call again changes nothing, whatever the round's state. Where the round has begun while
  the learner trained (`ahead`), what was asked for so comes first in `asks`.

  Raises:
    Conflict: the round is known with other tasks, or the one before it is not trained; a gold
      video; or fewer gold videos than the policy wants answered before the work.
    IllegalTransition: a video was asked for in an earlier round.
    NotFound: an unknown video or class.
    InvalidAnswer: no tasks, one twice, or a hint outside the video.
  """
  if not asks or len({(a.video, a.label) for a in asks}) < len(asks):
    raise InvalidAnswer(f"round {number} needs at least one task, and each only once")
  with campaign.store.write() as db:
    now = campaign.clock()
    there = db.execute("SELECT 1 FROM rounds WHERE id = ?", (number,)).fetchone()
    begun = db.execute("SELECT 1 FROM begun WHERE round_id = ?", (number,)).fetchone()
    known = [(r["video"], r["label"]) for r in db.execute(
        "SELECT v.name AS video, c.name AS label FROM tasks t JOIN videos v ON v.id = t.video_id "
        "JOIN classes c ON c.id = t.class_id WHERE t.round_id = ? ORDER BY t.id", (number,))]
    if there:
      if known != [(a.video, a.label) for a in (asks[:len(known)] if begun else asks)]:
        raise Conflict(f"round {number} is open with other tasks: the learner's state does not "
                       "belong to this campaign, or its seed or settings changed")
      if not begun:
        return
    last = db.execute("SELECT id, state FROM rounds WHERE id NOT IN (SELECT round_id FROM begun) "
                      "ORDER BY id DESC LIMIT 1").fetchone()
    if number != (0 if last is None else last["id"] + 1) or (last and last["state"] != "trained"):
      raise Conflict(f"round {number} cannot be opened: the last one is "
                     + ("none" if last is None else f"{last['id']}, {last['state']}"))
    require_gold(db, campaign.policy)
    if begun:
      db.execute("DELETE FROM begun")
    else:
      db.execute("INSERT INTO rounds (id, opened_at) VALUES (?, ?)", (number, now))
    store.log(db, "rounds.open", number, now=now, tasks=len(asks))
    asked = set()
    for ask in asks[len(known):]:
      video = by_name(db, "videos", ask.video)
      if video["id"] not in asked:
        if db.execute("SELECT 1 FROM tasks WHERE video_id = ? AND is_gold = 1",
                      (video["id"],)).fetchone():
          raise Conflict(f"{ask.video} has a gold task: it cannot be asked for in a round, too")
        if video["state"] != "unlabelled":
          raise IllegalTransition(f"{ask.video} is {video['state']}: it cannot be asked for again")
        states.move(db, "videos", video["id"], "asked", now=now)
        asked.add(video["id"])
      db.execute("INSERT INTO tasks (round_id, video_id, class_id, hint_start, hint_end, wanted) "
                 "VALUES (?, ?, ?, ?, ?, ?)",
                 (number, video["id"], by_name(db, "classes", ask.label)["id"],
                  *hint_columns(video, ask.hint), campaign.policy.annotators))
    if begun and not db.execute(
        f"SELECT 1 FROM tasks WHERE round_id = ? AND state NOT IN {states.CLOSED}",
        (number,)).fetchone():
      states.move(db, "rounds", number, "complete", now=now)


def mark_trained(campaign: Campaign, number: int) -> None:
  """The learner's state after the round is on the disk. Again: changes nothing."""
  with campaign.store.write() as db:
    if states.state(db, "rounds", number) != "trained":
      states.move(db, "rounds", number, "trained", now=campaign.clock())


def by_name(db: sqlite3.Connection, table: str, name: str) -> sqlite3.Row:
  """The row of `videos` or `classes` with that name. Raises NotFound."""
  row = db.execute(f"SELECT * FROM {table} WHERE name = ?", (name,)).fetchone()
  if row is None:
    raise NotFound(f"{table} has no {name!r}")
  return row


def hint_columns(video: sqlite3.Row, hint: tuple[float, float] | None
                 ) -> tuple[float, float] | tuple[None, None]:
  """A task's hint_start and hint_end. Raises InvalidAnswer unless inside the video."""
  if hint is None:
    return None, None
  if not 0 <= hint[0] < hint[1] <= video["duration"]:
    raise InvalidAnswer(f"{video['name']}: the hint {hint} is not inside the video")
  return hint


def require_gold(db: sqlite3.Connection, policy: Policy) -> None:
  """Raises Conflict if there is too little gold: nobody could qualify, and a round would never end.
  """
  wanted = max(policy.gold_before, int(policy.gold_every > 0))
  there = db.execute("SELECT COUNT(DISTINCT video_id) FROM tasks WHERE is_gold = 1 "
                     "AND video_id NOT IN (SELECT video_id FROM excluded)").fetchone()[0]
  if there < wanted:
    raise Conflict(f"the policy wants {wanted} gold videos (gold_before, gold_every), there are "
                   f"{there}: add gold tasks, or set both to 0")
