"""The benchmark's item of the point detector: it runs, and its peer learns the same. No timing."""

import importlib.util

import numpy as np
import pytest

from experiments.benchmarks import detector


def test_every_case_has_its_rows():
  (case,) = detector.cases("small")
  assert set(case) == set(detector.cases("full")[0])
  rows = detector.measure(case)
  assert [row["case"].split(",")[0] for row in rows] == [
      "training", "a round from the last weights",
      "detections in 6 one-minute videos", "confidences over time in 6 one-minute videos"]
  has_peer = importlib.util.find_spec("torch") is not None
  assert [len(row["peers"]) for row in rows] == [has_peer, has_peer, has_peer, 0]
  for row in rows:
    assert row["unit"] == "s" and row["peak_mib"] > 0 and row["details"]["first_call_seconds"] > 0
    for values in (row["ours"], *row["peers"]):
      assert 0 < values["min"] <= values["median"] <= values["max"] and values["repeats"] >= 1
    for peer in row["peers"]:
      assert peer["ratio"] == peer["median"] / row["ours"]["median"]


def test_clips_are_seeded_and_their_instances_stand_out():
  pool, again = (detector.made_up(3, 16, seed=5) for _ in range(2))
  np.testing.assert_array_equal(pool.rows.values, again.rows.values)
  for v in range(3):
    begin = pool.rows.first[v]
    for (start, end), label in zip(pool.truths[v] / pool.rows.step[v], pool.truth_labels[v],
                                   strict=True):
      inside = pool.rows.values[begin + int(start):begin + int(end) + 1, label]
      assert inside.mean() > 1.0 or len(inside) < 10


def test_the_peer_assigns_as_the_slow_copy():
  torch = pytest.importorskip("torch", reason="the peer is in PyTorch (extra parity)")
  from experiments.benchmarks import detector_peer
  from tests.models.point import torch_reference
  for clip in detector_peer.clips(detector.made_up(4, 8)):
    grid = detector_peer._grid(len(clip.rows))
    ours = detector_peer._assign(grid, clip, detector.NUM_CLASSES)
    theirs = torch_reference.assign(*grid, torch.tensor(clip.truths),
                                    torch.tensor(clip.labels), detector.NUM_CLASSES)
    for a, b in zip(ours, theirs, strict=True):
      np.testing.assert_allclose(a, b.numpy(), atol=1e-5)


def test_the_peer_finds_what_it_was_trained_on():
  pytest.importorskip("torch", reason="the peer is in PyTorch (extra parity)")
  from experiments.benchmarks import detector_peer
  pool = detector.made_up(2, 16)
  clips = detector_peer.clips(pool)
  network = detector_peer.network(16, detector.NUM_CLASSES)
  detector_peer.train(network, clips, 120)
  for clip, (segments, scores) in zip(clips, detector_peer.detect(network, clips), strict=True):
    longest = np.ptp(clip.truths, axis=1).argmax()
    label = clip.labels[longest]
    best = segments[label, scores[label].argmax()]
    truth = clip.truths[longest]
    overlap = np.clip(min(best[1], truth[1]) - max(best[0], truth[0]), 0, None)
    assert overlap / (np.ptp(best) + np.ptp(truth) - overlap) > 0.5
