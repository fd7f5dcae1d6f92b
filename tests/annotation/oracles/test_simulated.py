"""Simulated workers: the rates are those asked for, and a campaign of them runs to its end."""

import json

import numpy as np
import pytest

from tal_jax.annotation import oracles
from tal_jax.annotation.oracles import behaviour as behaviour_lib
from tal_jax.annotation.oracles.behaviour import Behaviour
from tal_jax.annotation.oracles.simulated import Simulated, truth_of
from tal_jax.annotation.rules.decisions import final_answers
from tal_jax.data.annotations import read_annotations
from tal_jax.errors import DataError
from tal_jax.host_segments import tiou_float64
from tests.annotation import campaigns
from tests.annotation.campaigns import ask, check, select

TRUTHS = np.array([[10.0, 20.0], [40.0, 60.0], [70.0, 74.0]])
DURATION = 100.0
TASKS = range(250)


def answers(behaviour, truths=TRUTHS, worker="ann"):
  return [behaviour_lib.answer(behaviour, worker, task, truths, DURATION) for task in TASKS]


def truth(video, label):
  return TRUTHS[:1 + int(video[1:]) % 3] if label == "jump" else np.zeros((0, 2))


def test_a_perfect_worker():
  assert answers(Behaviour()) == [[tuple(t) for t in TRUTHS]] * len(TASKS)
  assert answers(Behaviour(), np.zeros((0, 2))) == [[]] * len(TASKS)


def test_noise_is_in_tiou():
  given = np.array(answers(Behaviour(noise=0.2)))
  reached = np.array([np.diag(tiou_float64(a, TRUTHS)) for a in given])
  np.testing.assert_allclose(reached, 0.8, atol=2e-5)
  given = np.array(answers(Behaviour(noise=0.2, noise_sigma=0.05)))
  reached = np.array([np.diag(tiou_float64(a, TRUTHS)) for a in given]).ravel()
  assert abs(reached.mean() - 0.8) < 4 * 0.05 / np.sqrt(reached.size)
  assert abs(reached.std() - 0.05) < 0.01


def test_misses_and_false_alarms():
  missed = [len(TRUTHS) - len(a) for a in answers(Behaviour(miss=0.3))]
  n = len(TASKS) * len(TRUTHS)
  assert abs(sum(missed) / n - 0.3) < 4 * np.sqrt(0.3 * 0.7 / n)
  counts = [len(a) for a in answers(Behaviour(false_alarms=1.5), np.zeros((0, 2)))]
  assert abs(np.mean(counts) - 1.5) < 4 * np.sqrt(1.5 / len(counts))
  assert abs(np.var(counts) - 1.5) < 0.5


def test_laziness():
  given = answers(Behaviour(lazy=0.4))
  whole, absent = given.count([(0.0, DURATION)]), given.count([])
  assert abs((whole + absent) / len(TASKS) - 0.4) < 4 * np.sqrt(0.24 / len(TASKS))
  assert abs(whole - absent) < 4 * np.sqrt(0.4 * len(TASKS))


def test_abandonment_is_drawn_anew_at_every_attempt():
  gone = np.array([[behaviour_lib.abandons(Behaviour(abandon=0.3), "ann", task, attempt)
                    for attempt in range(3)] for task in TASKS])
  assert abs(gone.mean() - 0.3) < 4 * np.sqrt(0.21 / gone.size)
  assert abs(np.corrcoef(gone.T)[0, 1]) < 0.2


def test_answers_depend_on_seed_worker_and_task_alone():
  behaviour = Behaviour(noise=0.1, noise_sigma=0.1, miss=0.2, false_alarms=1.0, lazy=0.1)
  first = answers(behaviour)
  assert answers(behaviour) == first
  backwards = [behaviour_lib.answer(behaviour, "ann", task, TRUTHS, DURATION)
               for task in reversed(TASKS)]
  assert backwards[::-1] == first
  assert len({str(a) for a in first}) > len(TASKS) * 0.8
  assert answers(behaviour, worker="bob") != first
  assert answers(behaviour._replace(seed=1)) != first


def test_every_answer_can_be_stored():
  wild = Behaviour(noise=0.8, noise_sigma=0.5, false_alarms=5.0, seed=3)
  truths = np.array([[0.0, 0.01], [0.0, 33.3], [33.299, 33.3]])
  for task in TASKS:
    for start, end in behaviour_lib.answer(wild, "ann", task, truths, 33.3):
      assert 0 <= start < end <= 33.3 and end - start >= 1e-3


@pytest.mark.parametrize("bad", [{"noise": -0.1}, {"miss": 1.1}, {"lazy": 2.0}, {"abandon": -1.0},
                                 {"false_alarms": -1.0}, {"noise_sigma": float("nan")}])
def test_bad_rates(tmp_path, bad):
  made = campaigns.make(tmp_path / "c.db")
  with pytest.raises(DataError):
    Simulated(made, {"ann": Behaviour(**bad)}, truth)
  made.store.close()


def test_a_round_of_careful_workers(tmp_path):
  made = campaigns.make(tmp_path / "c.db", videos=4, annotators=3)
  ask(made, videos=[f"v{i}" for i in range(4)])
  Simulated(made, dict.fromkeys("abc", Behaviour(noise=0.05)), truth).advance()
  check(made)
  final = final_answers(made, 0)
  assert [f.video for f in final] == ["v0", "v1", "v2", "v3"]
  for answer in final:
    found = np.array([s[:2] for s in answer.segments])
    assert (np.diag(tiou_float64(found, truth(answer.video, "jump"))) > 0.88).all()
  made.store.close()


def run_with_deserters(path, restart):
  """Everyone abandons half of the tasks at first; a new oracle object at every step or not."""
  made = campaigns.make(path, videos=6, annotators=2)
  ask(made, videos=[f"v{i}" for i in range(6)])
  def make():
    return Simulated(made, dict.fromkeys("ab", Behaviour(noise=0.1, abandon=0.5)), truth)
  oracle, steps = make(), 0
  while campaigns.state(made, "rounds", 0) == "open":
    oracle = make() if restart else oracle
    oracle.advance()
    oracle.advance()  # changes nothing: no time has passed
    made.clock.now += 60
    steps += 1
    assert steps < 100
  check(made)
  expired = select(made, "SELECT COUNT(*) AS n FROM leases WHERE state = 'expired'")[0]["n"]
  final = final_answers(made, 0)
  made.store.close()
  return final, expired, steps


def test_deserters_come_back(tmp_path):
  final, expired, steps = run_with_deserters(tmp_path / "a.db", restart=False)
  assert expired > 0 and steps > 1
  assert run_with_deserters(tmp_path / "b.db", restart=True) == (final, expired, steps)


def test_from_settings(tmp_path):
  made = campaigns.make(tmp_path / "c.db", annotators=2)
  database = {f"v{i}": {"duration": 100.0, "subset": "training", "annotations": [
      {"segment": [5.0, 9.0], "label": "jump"}, {"segment": [1.0, 2.0], "label": "run"}]}
              for i in range(2)}
  path = tmp_path / "truth.json"
  path.write_text(json.dumps({"database": database}))
  oracle = oracles.make("simulated", made, {"annotations": str(path), "workers": 2}, tmp_path)
  assert "this is a simulation" in oracle.start()[0]
  ask(made, videos=("v0", "v1"), label="run")
  oracle.advance()
  oracle.stop()
  assert [[s[:2] for s in a.segments] for a in final_answers(made, 0)] == [[(1.0, 2.0)]] * 2
  lookup = truth_of(read_annotations(path))
  assert lookup("v_v0", "jump").tolist() == [[5.0, 9.0]]
  assert lookup("v0", "swim").shape == (0, 2)
  with pytest.raises(DataError, match="v2"):
    lookup("v2", "run")
  made.store.close()
