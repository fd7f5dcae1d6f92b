"""The learner's pools: Selection without truths, Testing and Knowledge-Source if there are any."""

import numpy as np
import pytest

from tal_jax.annotation.active import campaign_data
from tal_jax.annotation.videos.media import Probe
from tal_jax.data.annotations import from_videos
from tal_jax.data.features import write_features
from tal_jax.data.file_options import NAMES, FileOptions
from tal_jax.data.records import FrameFeatures, TimeGrid, VideoAnnotation
from tal_jax.errors import DataError

OPTIONS = {"slots": 2, "encoder": "mean", "windows": {"shortest": 4.0, "longest": 0.0}}


def annotated(video_id, subset, *truths):
  return VideoAnnotation(video_id, subset, 20.0, np.array(
      [t[:2] for t in truths], float).reshape(-1, 2), tuple(t[2] for t in truths))


ANNOTATIONS = from_videos([
    annotated("t0", "test", (1, 5, "run"), (2, 6, "swim")), annotated("t1", "test", (1, 5, "swim")),
    annotated("t2", "test"), annotated("k0", "known", (3, 8, "climb"))])


@pytest.fixture
def features(tmp_path):
  rng = np.random.default_rng(0)
  names = ["a", "b", "t0", "t1", "t2", "k0"]
  write_features(tmp_path / "features", [
      (name, FrameFeatures(rng.normal(size=(20, 3)).astype(np.float32), TimeGrid(1.0)))
      for name in names])
  return str(tmp_path / "features")


PROBES = {name: Probe(20.0, 25.0, 500, 64, 48, "") for name in ("a", "b")}
INTENDED = {"a": {"run": None}, "b": {"jump": None, "run": (1.0, 2.0)}}


def load(probes, intended, annotated, *, slots, testing_subset="", knowledge_subset="", **fields):
  videos = campaign_data.Videos(probes, intended, annotated, slots, testing_subset,
                                knowledge_subset)
  options = FileOptions.of({name: fields.pop(name) for name in NAMES if name in fields})
  return campaign_data.load(videos, options, **fields)


def test_slots_by_hand():
  labels = campaign_data.slot_labels([["run"], ["jump", "run"]], ("jump", "run"), 3)
  np.testing.assert_array_equal(labels, [[1, 1, 1, -1, -1, -1], [0, 0, 0, 1, 1, 1]])


def test_selection_alone(features):
  data = load(PROBES, INTENDED, ANNOTATIONS, features=features, **OPTIONS)
  assert data.classes == ("jump", "run") and data.ids == ((), ("a", "b"), ())
  pool = data.selection
  np.testing.assert_array_equal(pool.truth_labels, [[1, 1, -1, -1], [0, 0, 1, 1]])
  assert not pool.truth_mask.any() and pool.truths.shape == (2, 4, 2)
  np.testing.assert_array_equal(pool.durations, [20.0, 20.0])
  assert pool.proposal_mask.all() and np.abs(pool.features).sum() > 0
  for empty in (data.testing, data.knowledge_source):
    assert empty.num_videos == 0 and empty.dim == pool.dim
  assert not data.testing_annotations.videos and data.search is None


def test_testing_counts_the_classes_that_are_asked_for(features):
  alone = load(PROBES, INTENDED, ANNOTATIONS, features=features, **OPTIONS)
  data = load(PROBES, INTENDED, ANNOTATIONS, features=features,
                            testing_subset="test", knowledge_subset="known", **OPTIONS)
  assert data.ids == (("k0",), ("a", "b"), ("t0", "t2"))  # t1 swims only
  assert data.testing_annotations.videos["t0"].labels == ("run",)
  assert data.classes == ("jump", "run") and data.knowledge_classes == ("climb",)
  np.testing.assert_array_equal(data.testing.truth_labels[0], [1])
  # Selection does not depend on the other sets.
  for a, b in zip(alone.selection, data.selection, strict=True):
    np.testing.assert_array_equal(a, b)


def test_videos_without_features(features, tmp_path):
  probes = PROBES | {"c": Probe(20.0, 25.0, 500, 64, 48, "")}
  intended = INTENDED | {"c": {"run": None}}
  with pytest.raises(DataError, match="no features"):
    load(probes, intended, ANNOTATIONS, features=features, **OPTIONS)
  data = load(probes, intended, ANNOTATIONS, features=features, allow_missing=True,
                            **OPTIONS)
  assert data.ids.selection == ("a", "b")


@pytest.mark.parametrize(("changes", "message"), [
    ({"features": ""}, "data.features is not set"),
    ({"testing_subset": "tset"}, "no video of this subset; there are 'known', 'test'"),
    ({"knowledge_subset": "x"}, "data.knowledge_subset"),
    ({"encoder": "max"}, "encoder = 'max'")])
def test_faults(features, changes, message):
  with pytest.raises(DataError, match=message):
    load(PROBES, INTENDED, ANNOTATIONS, **({"features": features} | OPTIONS
                                                         | changes))


def test_classes_spelled_otherwise(features):
  with pytest.raises(DataError, match="no instance of the classes"):
    load({"a": PROBES["a"]}, {"a": {"Run": None}}, ANNOTATIONS, features=features,
                       testing_subset="test", **OPTIONS)


def test_windows_of_a_long_video_are_bounded_and_it_is_named(features, caplog):
  """Those of the shortest length, 4 s, go first; the next ones are 1.4 times as long."""
  whole = load(PROBES, INTENDED, ANNOTATIONS, features=features, **OPTIONS)
  count = whole.selection.segments.shape[1]
  load(PROBES, INTENDED, ANNOTATIONS, features=features, num_proposals=count,
                     **OPTIONS)
  assert not [x for x in caplog.records if "num_proposals" in x.getMessage()]
  bounded = load(PROBES, INTENDED, ANNOTATIONS, features=features,
                               num_proposals=count - 1, **OPTIONS)
  assert bounded.selection.segments.shape[1] < count
  lengths = np.diff(bounded.selection.segments[0])
  assert lengths.min() == pytest.approx(4.0 * 1.4)
  said, = [x.getMessage() for x in caplog.records if "num_proposals" in x.getMessage()]
  assert said.startswith("2 videos have more windows than data.num_proposals") and "a, b" in said
  assert "last 5.6 s at least" in said
