"""The data set at a glance: hand values, a slow count beside it, ActivityNet's real file."""

import json
from collections import Counter
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tal_jax.data import glance as lib
from tal_jax.data.annotations import from_videos, read_annotations
from tal_jax.data.checks.annotations import duplicates
from tal_jax.data.records import VideoAnnotation
from tal_jax.errors import DataError

# Sec. 5.2, written again: the upper bounds of all bins but the last.
EDGES = {"coverage": ["0.2", "0.4", "0.6", "0.8"], "length": ["30", "60", "120", "180"],
         "number": ["1", "4", "8", "16"]}


def video(name, duration, *truths, subset="training"):
  return VideoAnnotation(name, subset, duration,
                         np.array([[s, e] for s, e, _ in truths], float).reshape(-1, 2),
                         tuple(label for _, _, label in truths))


def slow(videos):
  """Plain loops over (duration, [(start, end, label)]); numbers may be Decimal, then exact."""
  counts = {name: [0] * 5 for name in EDGES}
  pairs = {pair: [[0] * 5 for _ in range(5)] for pair in lib.PAIRS}
  instances, in_videos, lost = Counter(), Counter(), Counter()
  for duration, truths in videos:
    kept = []
    for start, end, label in truths:
      if end <= start:
        lost["empty"] += 1
      elif any(label == other and abs(start - s) <= Decimal("0.001")
               and abs(end - e) <= Decimal("0.001") for s, e, other in kept):
        lost["copied"] += 1
      else:
        kept.append((start, end, label))
    in_videos.update({label for _, _, label in kept})
    for start, end, label in kept:
      instances[label] += 1
      value = {"coverage": (end - start) / duration, "length": end - start, "number": len(kept)}
      place = {}
      for name, edges in EDGES.items():
        place[name] = 0
        for edge in edges:
          if value[name] > Decimal(edge):
            place[name] += 1
        counts[name][place[name]] += 1
      for a, b in pairs:
        pairs[a, b][place[a]][place[b]] += 1
  return counts, pairs, instances, in_videos, lost


def assert_equal(result, expected):
  counts, pairs, instances, in_videos, lost = expected
  total = sum(instances.values())
  assert result["instances"] == total
  assert result["left_out"] == {"not_finite": 0, "empty": lost["empty"], "copied": lost["copied"]}
  for name, own in counts.items():
    assert result["attributes"][name]["instances"] == own
    np.testing.assert_allclose(result["attributes"][name]["share"], np.array(own) / total)
  assert [(x["rows"], x["columns"]) for x in result["pairs"]] == list(pairs)
  for pair, own in zip(result["pairs"], pairs.values(), strict=True):
    assert pair["instances"] == own
    np.testing.assert_allclose(pair["share"], np.array(own) / total)
  rows = {row["name"]: row for row in result["classes"]}
  assert {name: row["instances"] for name, row in rows.items() if row["instances"]} == instances
  assert {name: row["videos"] for name, row in rows.items() if row["videos"]} == in_videos
  assert result["classes"] == sorted(rows.values(), key=lambda x: (-x["instances"], x["name"]))


def test_hand_values():
  result = lib.glance(from_videos([
      video("a", 100.0, (0, 20, "run"), (20, 60.5, "jump"), (70, 100, "run")),
      video("b", 200.0, (0, 200, "run")), video("c", 50.0)]))
  assert (result["videos"], result["videos_without_instances"]) == (3, 1)
  assert (result["annotated"], result["instances"], result["instances_per_video"]) == (4, 4, 2.0)
  assert result["classes"] == [{"name": "run", "videos": 2, "instances": 3},
                               {"name": "jump", "videos": 1, "instances": 1}]
  # Coverages 0.2, 0.405, 0.3, 1; lengths 20, 40.5, 30, 200; three, three, three, one in the video.
  attributes = result["attributes"]
  assert attributes["coverage"]["instances"] == [1, 1, 1, 0, 1]
  assert attributes["length"]["instances"] == [2, 1, 0, 0, 1]
  assert attributes["number"]["share"] == [0.25, 0.75, 0, 0, 0]
  coverage_length = result["pairs"][0]
  assert (coverage_length["rows"], coverage_length["columns"]) == ("coverage", "length")
  expected = np.zeros((5, 5))
  expected[0, 0] = expected[1, 0] = expected[2, 1] = expected[4, 4] = 0.25
  np.testing.assert_array_equal(coverage_length["share"], expected)


@pytest.mark.parametrize("name", EDGES)
def test_upper_edges_belong_to_the_bin(name):
  edges = np.array(EDGES[name], float)
  assert lib.bin_index(edges, name).tolist() == [0, 1, 2, 3]
  assert lib.bin_index(edges + 1e-6, name).tolist() == [1, 2, 3, 4]
  assert lib.bin_index(np.array([np.nan, 1e9]), name).tolist() == [-1, 4]
  for edge, text in zip(EDGES[name], lib.ATTRIBUTES[name].ranges, strict=False):
    assert text.endswith(f" {edge}]")


def test_times_that_floats_cannot_hold():
  assert 32.2 - 2.2 > 30 and (0.4 - 0.1) / 1.5 > 0.2 and (0.8 - 0.2) / 3 > 0.2
  found = lib.instances(from_videos([video("a", 100.0, (2.2, 32.2, "x")),
                                     video("b", 1.5, (0.1, 0.4, "x")),
                                     video("c", 3.0, (0.2, 0.8, "x"))]))
  assert lib.bin_index(found.length, "length").tolist() == [0, 0, 0]
  assert lib.bin_index(found.coverage, "coverage").tolist() == [1, 0, 0]


def test_truths_that_do_not_count():
  annotations = from_videos([
      video("a", 100.0, (0, 10, "x"), (0, 10, "x"), (0.0005, 10, "x"), (0, 10, "y"),
            (0.002, 10, "x"), (5, 5, "x"), (9, 5, "x"), (np.nan, 5, "x"), (5, 5, "x")),
      video("b", 100.0, (3, 3, "z"))])
  result = lib.glance(annotations)
  # Kept: [0, 10] x, [0, 10] y, [0.002, 10] x. The empty ones are no copies of each other.
  assert result["left_out"] == {"not_finite": 1, "empty": 4, "copied": 2}
  assert (result["annotated"], result["instances"]) == (10, 3)
  assert result["attributes"]["number"]["instances"] == [0, 3, 0, 0, 0]
  assert result["videos_without_instances"] == 1
  assert result["classes"][-1] == {"name": "z", "videos": 0, "instances": 0}


def test_durations_that_are_short_or_unknown():
  result = lib.glance(from_videos([video("a", 10.0, (0, 12, "x")), video("b", 0.0, (0, 40, "x")),
                                   video("c", np.nan, (0, 70, "x"))]))
  assert (result["coverage_above_one"], result["coverage_unknown"]) == (1, 2)
  assert result["attributes"]["coverage"]["share"] == [0, 0, 0, 0, 1]
  assert result["attributes"]["length"]["instances"] == [1, 1, 1, 0, 0]
  totals = [int(np.sum(pair["instances"])) for pair in result["pairs"]]
  assert totals == [1, 1, 3]
  unknown = lib.glance(from_videos([video("b", 0.0, (0, 40, "x"))]))
  assert unknown["attributes"]["coverage"]["share"] is None
  assert [pair["share"] is None for pair in unknown["pairs"]] == [True, True, False]
  json.dumps([result, unknown], allow_nan=False)


@pytest.mark.parametrize("videos, message", [
    ([], r"^0 video\(s\), but no instance to count$"),
    ([video("a", 9.0, (2, 2, "x"))], r"left out: 1 empty")])
def test_nothing_to_count(videos, message):
  with pytest.raises(DataError, match=message):
    lib.glance(from_videos(videos))


_TRUTHS = st.lists(st.tuples(st.integers(0, 260), st.integers(0, 260), st.sampled_from("xyz")),
                   max_size=20)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 300), _TRUTHS), min_size=1, max_size=6))
def test_equals_plain_loops(videos):
  videos = videos + [(100, [(0, 20, "x")])]
  annotations = from_videos(video(str(i), float(duration), *truths)
                            for i, (duration, truths) in enumerate(videos))
  assert_equal(lib.glance(annotations), slow(
      [(Decimal(d), [(Decimal(s), Decimal(e), x) for s, e, x in truths]) for d, truths in videos]))


def test_activitynet(data_dir):
  path = data_dir / "activitynet" / "activity_net.v1-3.json"
  if not path.is_file():
    pytest.skip(f"ActivityNet annotations not found at {path}")
  annotations = read_annotations(path)
  result = lib.glance(annotations)
  # Independent of the readers, and in exact decimals: the file as json has it.
  database = json.loads(path.read_text(), parse_float=Decimal, parse_int=Decimal)["database"]
  assert_equal(result, slow([(entry["duration"], [(*x["segment"], x["label"])
                                                  for x in entry["annotations"]])
                             for entry in database.values()]))
  assert (result["videos"], result["annotated"], result["instances"]) == (14950, 23064, 23000)
  assert result["left_out"]["copied"] == sum(
      count - 1 for x in annotations.videos.values() for _, _, count in duplicates(x))
