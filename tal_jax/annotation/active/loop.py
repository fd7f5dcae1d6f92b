"""The learner and the campaign: people as the oracle of a round [paper, Sec. 3.3, 5.1].

    select -> open the round -> people answer -> close it -> label and train -> mark it trained

Round r of the campaign is the learner's step r; round 0 has the first, random videos [Sec. 4.1].
`Asking` is a selection function that takes days: it opens the round and returns, when enough of it
is decided (`rounds`), the videos to learn; and it is the oracle of these videos. So `learner.start`
and `learner.step` are the loop, here as in a simulation.

Two stores must agree after any crash: the learner's checkpoints and the campaign's database. The
order is

    open_round(r)      the database has the round
    answers            the database has them
    close(r)           the database has which videos round r learns
    checkpoint(r)      the learner's state has the answers, and what it learnt from them
    record(r)          the database has the result, and the round is trained: r + 1 may open

A learner that starts again takes its last good checkpoint, step r. Whatever of the later rounds is
in the database stands: the videos of a round that was opened are those of the database, not chosen
again (`known_round`), and its answers are read again. What was asked for while the learner trained
(`ahead`) is in its round before the learner chooses the rest, and stays. So nobody is asked twice,
even if the checkpoints are lost. A round's answers are frozen in the learner by its checkpoint:
what an operator corrects later goes into the exports, and reaches the learner only when it begins
again without checkpoints.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import chex
import jax.numpy as jnp
import numpy as np
from absl import logging

from tal_jax import learner, oracles
from tal_jax.annotation import store
from tal_jax.annotation.campaign import Campaign, by_name, mark_trained, open_round
from tal_jax.annotation.rules import ahead, rounds, states
from tal_jax.annotation.rules.ahead import asks
from tal_jax.annotation.rules.decisions import FinalAnswer
from tal_jax.annotation.rules.intended import Intended
from tal_jax.annotation.rules.rounds import close
from tal_jax.annotation.videos import preparing
from tal_jax.models.localizer import Detections
from tal_jax.pool import VideoPool

_FINISHED = "campaign.finished"  # an event


class Result(NamedTuple):
  """A point of the learning curve."""

  num_labeled: int  # videos
  num_instances: int  # that the learner learnt from
  map: float | None  # on Testing; None without one
  attention_ap: float | None
  seconds: float  # of the training


class Progress(NamedTuple):
  """Of a round."""

  tasks: int
  decided: int
  disputed: int  # wait for an operator
  late: int = 0  # of the rounds before, not decided yet


def known_round(campaign: Campaign, number: int) -> list[str] | None:
  """The videos of a round that is in the database, in the learner's order; None if it is not.

  It is once the learner has chosen it, which may be after it has begun (`ahead`).
  """
  with campaign.store.read() as db:
    if not db.execute("SELECT 1 FROM rounds WHERE id = ? AND id NOT IN "
                      "(SELECT round_id FROM begun)", (number,)).fetchone():
      return None
    return [row["name"] for row in db.execute(
        "SELECT v.name FROM tasks t JOIN videos v ON v.id = t.video_id WHERE t.round_id = ? "
        "GROUP BY v.id ORDER BY MIN(t.id)", (number,))]


def selector(campaign: Campaign, number: int, ids: Sequence[str], select: learner.SelectFn, *,
             more: int = 0, intended: Intended | None = None) -> learner.SelectFn:
  """The selection function, or the round's own videos where the database has them.

  Videos of the round that were asked for while the learner trained come first, and count. It passes
  over videos that no round may ask for, though the learner has no labels of them: they are still
  being answered, or were left out. The `more` next best ones are told to the campaign as those that
  are expected in the next round, so that they can be made ready; with `intended`, they may be asked
  for while the learner trains.
  """

  def choose(key, state, pool, *, batch_size):
    names = known_round(campaign, number)
    index = {name: i for i, name in enumerate(ids)}
    if names is not None:
      return np.array([index[name] for name in names])
    early = [index[name] for name in ahead.early(campaign, number)]
    size = max(batch_size - ahead.num_early(campaign, number), 0)
    labeled = np.asarray(state.labeled)
    passed = {index[name] for name in rounds.unavailable(campaign) if name in index}
    passed = {i for i in passed if not labeled[i]}
    # A longer ranking begins with the shorter one.
    ranked = select(key, state, pool, batch_size=min(
        size + more + len(passed), int((~labeled).sum()))) if size + more else ()
    found = [i for i in np.asarray(ranked).tolist() if i not in passed]
    _expect(campaign, ids, found[size:size + more], pool, intended)
    return np.array(early + found[:size], int)

  return choose


def as_it_was(campaign: Campaign, number: int, ids: Sequence[str], select: learner.SelectFn, *,
              more: int = 0, intended: Intended | None = None) -> learner.SelectFn:
  """The selection function, or the round's own videos where the database has them.

  With `intended`, `more` other videos may be asked for while the learner trains.
  """

  def choose(key, state, pool, *, batch_size):
    names = known_round(campaign, number)
    if names is None:
      chosen = select(key, state, pool, batch_size=batch_size)
      if intended is not None:
        longer = np.asarray(select(key, state, pool, batch_size=batch_size + more)).tolist()
        _expect(campaign, ids, [i for i in longer if i not in np.asarray(chosen).tolist()], pool,
                intended)
      return chosen
    index = {name: i for i, name in enumerate(ids)}
    return np.array([index[name] for name in names])

  return choose


def _expect(campaign: Campaign, ids: Sequence[str], indices: Sequence[int], pool: VideoPool,
            intended: Intended | None) -> None:
  names = [ids[i] for i in indices]
  questions = () if intended is None else asks(names, intended, dict(zip(
      names, np.asarray(pool.durations, np.float64)[np.array(indices, int)], strict=True)))
  preparing.expect(campaign, names, questions)


class Asking:
  """A round's questions: what to learn in it, and the answers."""

  def __init__(self, campaign: Campaign, number: int, ids: Sequence[str], intended: Intended,
               classes: Sequence[str], select: learner.SelectFn, *, wait: Callable[[], None],
               again: Callable[[Callable[[], Any]], Any] = lambda action: action()):
    """Args:

      campaign: the answers' place.
      number: of the round.
      ids: the pool's videos.
      intended: the classes to ask for.
      classes: the pool's; `truth_labels` index them.
      select: chooses the videos to ask for.
      wait: returns when the round has enough answers.
      again: carries out what may be repeated, such as `patience.Patience.again`.
    """
    self._campaign, self._number, self._ids, self._intended = campaign, number, ids, intended
    self._classes, self._select, self._wait, self._again = classes, select, wait, again
    self._finals: list[FinalAnswer] = []

  def choose(self, key: chex.PRNGKey, state: learner.LearnerState, pool: VideoPool, *,
             batch_size: int) -> np.ndarray:
    """Opens the round, waits, closes it; gives the videos to learn, which may be others."""
    chosen = np.asarray(self._again(
        lambda: self._select(key, state, pool, batch_size=batch_size)))
    names = [self._ids[i] for i in chosen]
    durations = dict(zip(names, np.asarray(pool.durations, np.float64)[chosen], strict=True))
    questions = asks(names, self._intended, durations)
    self._again(lambda: open_round(self._campaign, self._number, questions))
    self._wait()
    learnt, self._finals = self._again(lambda: close(self._campaign, self._number))
    index = {name: i for i, name in enumerate(self._ids)}
    return np.array([index[name] for name in learnt], int)

  def annotate(self, indices: chex.Array, pool: VideoPool) -> oracles.Answer:
    """The answers that `choose` found, of the videos that it gave."""
    chosen = np.asarray(indices)
    return to_answer(self._finals, [self._ids[i] for i in chosen], self._classes,
                     np.asarray(pool.truth_labels)[chosen])


def to_answer(finals: Sequence[FinalAnswer], names: Sequence[str], classes: Sequence[str],
              slot_labels: np.ndarray) -> oracles.Answer:
  """The final answers in the learner's form.

  A class of which more instances were marked than the pool has places for keeps its longest; the
  log says so, and the exports have them all. How far an answer is from the truth is not known.

  Args:
    finals: of the round.
    names: [n] the round's videos.
    classes: the pool's.
    slot_labels: [n, t] the class of each place, -1 for none.
  """
  segments = np.zeros((*slot_labels.shape, 2), np.float32)
  mask = np.zeros(slot_labels.shape, bool)
  row = {name: i for i, name in enumerate(names)}
  for final in finals:
    i = row[final.video]
    places = np.flatnonzero(slot_labels[i] == classes.index(final.label))
    marked = [(segment.start, segment.end) for segment in final.segments]
    if len(marked) > len(places):
      logging.warning("%s has %d instances of %r: the learner takes the %d longest (set "
                      "campaign.slots_per_label higher; the next start may)",
                      final.video, len(marked), final.label, len(places))
      marked = sorted(sorted(marked, key=lambda s: s[0] - s[1])[:len(places)])
    segments[i, places[:len(marked)]] = np.reshape(marked, (-1, 2))
    mask[i, places[:len(marked)]] = True
  return oracles.Answer(jnp.asarray(segments), jnp.asarray(mask),
                        jnp.where(jnp.asarray(mask), jnp.nan, 0.0))


def progress(campaign: Campaign, number: int) -> Progress:
  """How far a round is, without what was left out. Raises NotFound."""
  with campaign.store.read() as db:
    states.state(db, "rounds", number)
    count = dict(db.execute("SELECT state, COUNT(*) FROM tasks WHERE round_id = ? GROUP BY state",
                            (number,)).fetchall())
  count.pop("excluded", 0)
  return Progress(sum(count.values()), sum(count.get(name, 0) for name in states.DECIDED),
                  count.get("disputed", 0), rounds.num_late(campaign, number))


def wait(campaign: Campaign, number: int, *, advance: Callable[[], None], poll_seconds: float,
         enough: Callable[[], bool] | None = None,
         report: Callable[[Progress], None] = lambda progress: None,
         sleep: Callable[[float], None] = time.sleep) -> None:
  """Returns when enough of the round is decided.

  Args:
    advance: one step of the oracle, see `oracles.Oracle.advance`; taken at least once, and again
      before each look.
    poll_seconds: from one look to the next.
    enough: whether that is so; without it, when every video of the round is.
    report: called after each look.
    sleep: a test's clock.
  """
  while True:
    advance()
    report(progress(campaign, number))
    if enough() if enough else rounds.has_enough(campaign, number, 1.0):
      return
    sleep(poll_seconds)


def record(campaign: Campaign, number: int, result: Result) -> None:
  """The learner's state after the round is on the disk. Again: changes nothing."""
  with campaign.store.write() as db:
    db.execute("INSERT INTO results (round_id, num_labeled, num_instances, map, attention_ap, "
               "seconds, at) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (round_id) DO NOTHING",
               (number, *result, campaign.clock()))
  mark_trained(campaign, number)


def suggest(campaign: Campaign, number: int, names: Sequence[str], intended: Intended,
            classes: Sequence[str], detections: Detections) -> None:
  """Stores the model's detections of each intended class, for annotators who may see them.

  Args:
    names: [n] videos of the round, which is open.
    detections: of these videos.
  """
  segments, scores, mask = map(np.asarray, (detections.segments, detections.scores,
                                            detections.mask))
  labels = None if detections.labels is None else np.asarray(detections.labels)
  with campaign.store.write() as db:
    for i, name in enumerate(names):
      for label in intended[name]:
        index = classes.index(label)
        real = mask[i] if labels is None else mask[i] & (labels[i] == index)
        score = scores[i, real, index] if labels is None else scores[i, real]
        body = [[*map(float, segments[i, real][k]), float(score[k])]
                for k in np.argsort(-score, kind="stable")]
        db.execute("INSERT INTO suggestions (video_id, class_id, body, round_id) "
                   "VALUES (?, ?, ?, ?) ON CONFLICT (video_id, class_id) DO NOTHING",
                   (by_name(db, "videos", name)["id"], by_name(db, "classes", label)["id"],
                    json.dumps(body), number))


def finish(campaign: Campaign) -> None:
  """No more rounds will come, unless the campaign is made larger. Again: changes nothing."""
  if not is_finished(campaign):
    with campaign.store.write() as db:
      store.log(db, _FINISHED, 0, now=campaign.clock())


def is_finished(campaign: Campaign) -> bool:
  """Whether `finish` was called, and no round was opened since."""
  with campaign.store.read() as db:
    last = db.execute("SELECT kind FROM events WHERE kind IN (?, 'rounds.open') "
                      "ORDER BY id DESC LIMIT 1", (_FINISHED,)).fetchone()
  return last is not None and last["kind"] == _FINISHED
