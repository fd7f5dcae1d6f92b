"""Many videos and many truths: the same answers as from the plain way, and no file opened twice."""

import json
from collections import Counter

import h5py
import numpy as np
import pytest

from experiments.benchmarks import checks
from tal_jax.data import arrays
from tal_jax.data.checks.annotations import duplicates
from tal_jax.data.predictions import read_predictions
from tal_jax.data.records import VideoAnnotation
from tal_jax.errors import DataError


def plain_duplicates(video, tolerance):
  """Each truth against all before it."""
  groups = []
  for segment, label in zip(video.segments, video.labels, strict=True):
    for group in groups:
      if group[1] == label and (np.abs(group[0] - segment) <= tolerance).all():
        group[2] += 1
        break
    else:
      groups.append([segment, label, 1])
  return [(tuple(x[0]), x[1], x[2]) for x in groups if x[2] > 1]


def test_copies_among_many_truths():
  rng = np.random.default_rng(0)
  for tolerance in (1e-3, 0.5):
    segments = np.round(rng.uniform(-3, 30, (300, 2)) / tolerance) * tolerance
    segments = segments[rng.integers(0, 300, 600)] + rng.uniform(-0.2, 0.2, (600, 2)) * tolerance
    segments[::50] = np.nan
    video = VideoAnnotation("a", "training", 40.0, segments,
                            tuple(rng.choice(["x", "y"], 600).tolist()), {})
    found = [(tuple(x[0]), x[1], x[2]) for x in duplicates(video, tolerance)]
    assert found == plain_duplicates(video, tolerance) and len(found) > 50


def test_one_video_of_twenty_thousand_truths():
  """Each against all others would take minutes."""
  starts = np.arange(20_000) // 2 * 0.25
  video = VideoAnnotation("a", "training", 1e4, np.stack([starts, starts + 1], 1),
                          ("x",) * 20_000, {})
  found = duplicates(video)
  assert len(found) == 10_000 and {count for _, _, count in found} == {2}


def test_a_file_that_is_kept_open_is_opened_once(tmp_path, monkeypatch):
  opened = Counter()
  for name in "abcdefghij":
    with h5py.File(tmp_path / f"{name}.h5", "w") as file:
      file["x"], file["y"] = np.full((2, 3), ord(name)), np.zeros((4, 3))
  real = arrays._opened
  monkeypatch.setattr(arrays, "_opened", lambda path: (opened.update([path.stem]), real(path))[1])
  with arrays.kept_open():
    for name in "abcdefghij":
      for _ in range(3):
        place = arrays.Place(tmp_path / f"{name}.h5", "x")
        assert arrays.values(place)[0, 0] == ord(name) and arrays.shape(place) == (2, 3)
    assert opened == Counter("abcdefghij")
    assert len(arrays._KEPT.get()) <= 8  # of many files not all are kept
  assert arrays.values(arrays.Place(tmp_path / "a.h5", "y")).shape == (4, 3)
  assert opened["a"] == 2
  with h5py.File(tmp_path / "a.h5", "a") as file:  # nothing holds it any more
    file["z"] = 1.0


def test_one_repeated_id_among_many_is_named(tmp_path):
  """Each id against all others would take many seconds."""
  path = tmp_path / "p.json"
  entries = ", ".join(f'"v{i}": []' for i in [*range(20_000), 19_999])
  path.write_text(f'{{"results": {{{entries}}}}}')
  with pytest.raises(DataError, match="1 repeated key.*'v19999'"):
    read_predictions(path)


def test_the_benchmark_of_the_checks_finds_its_faults(monkeypatch):
  (case,) = checks.cases("small")
  rows = checks.measure(case | {"videos": 60})
  assert [row["case"].partition(", ")[2] for row in rows] == list(checks._FAULTS)
  for row, kinds in zip(rows, checks._FAULTS.values(), strict=True):
    assert set(kinds) <= set(row["details"]["kinds"].split(", ")), row
    assert row["ours"]["repeats"] == 1 and row["peers"][0]["ratio"] > 0
  assert not any(kind in rows[0]["details"]["kinds"] for kinds in checks._FAULTS.values()
                 for kind in kinds)
  assert json.dumps(rows)
