"""Ground truth from annotations."""

import numpy as np
import pytest

from tal_jax.data.ground_truth import ground_truth, subset_ids
from tal_jax.data.types import Annotations, DataError, VideoAnnotation


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
