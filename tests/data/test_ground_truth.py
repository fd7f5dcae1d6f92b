"""Ground truth from annotations."""

import numpy as np
import pytest

from tal_jax.data.annotation_fields import ANNOTATION_FIELDS
from tal_jax.data.annotations import IGNORED, from_videos
from tal_jax.data.checks.labels import alike, no_classes, set_aside
from tal_jax.data.ground_truth import ground_truth, over_ignored, subset_ids
from tal_jax.data.records import Annotations, Predictions, VideoAnnotation
from tal_jax.errors import DataError


def test_ground_truth_of_annotations():
  def video(name, subset, segments, labels):
    return VideoAnnotation(name, subset, 60.0, np.asarray(segments, np.float64), labels)

  annotations = Annotations({
      "a": video("a", "training", [[0.1, 1], [2, 3]], ("run", "jump")),
      "b": video("b", "validation", [[4, 5]], ("jump",)),
      "c": video("c", "training", np.zeros((0, 2)), ())}, ("jump", "run"))
  assert subset_ids(annotations, "training") == ("a", "c")
  truth = ground_truth(annotations, ["b", "a"], ["jump"])
  np.testing.assert_array_equal(truth.video, [0, 1])
  np.testing.assert_array_equal(truth.segments, [[4, 5], [2, 3]])
  assert truth.segments.dtype == np.float64 and truth.num_classes == 1
  with pytest.raises(DataError, match="'training', 'validation'"):
    subset_ids(annotations, "test")
  with pytest.raises(DataError, match="did you mean 'training'"):
    subset_ids(annotations, "Train")


def test_segments_that_do_not_count():
  video = VideoAnnotation("a", "test", 60.0, np.array([[0, 5], [20, 30], [40.0, 50]]),
                          ("run", "Ambiguous", "run"),
                          {ANNOTATION_FIELDS: [{"id": 1}, {"id": 2}, {"id": 3, "crowd": 1}]})
  assert no_classes([video]) == {"Ambiguous": 1}
  left = set_aside(from_videos([video]), ["ambiguous", "crowd"], ignored=True)
  assert left.classes == ("run",) and left.videos["a"].labels == ("run",)
  assert left.videos["a"].extra == {ANNOTATION_FIELDS: [{"id": 1}],
                                    IGNORED: [[20.0, 30.0], [40.0, 50.0]]}
  assert IGNORED not in set_aside(from_videos([video]), ["crowd"]).videos["a"].extra
  segments = np.array([[0, 20], [19, 21.0], [30, 40], [25, 26], [45, 60]])
  predictions = Predictions(np.array([1, 1, 1, 0, 1]), np.zeros(5, int), segments, np.ones(5))
  other = VideoAnnotation("b", "test", 60.0, np.zeros((0, 2)), (), {})
  both = Annotations({"b": other, **left.videos}, ("run",))
  np.testing.assert_array_equal(over_ignored(predictions, both, ["b", "a"]),
                                [False, True, False, False, True])
  assert over_ignored(predictions, both, ["b"]) is None


def test_classes_that_are_one_but_for_the_spelling():
  assert alike(["jump", "Jump ", "run", "caf\u00e9", "cafe\u0301"]) == [
      ["jump", "Jump "], ["caf\u00e9", "cafe\u0301"]]
