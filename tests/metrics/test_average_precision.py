"""Detection mAP against hand values, the official code's numbers, and its algorithm as a loop."""

import json

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tal_jax.data.annotations import read_annotations
from tal_jax.data.ground_truth import ground_truth, subset_ids
from tal_jax.data.predictions import read_predictions, reindex
from tal_jax.metrics import average_precision as ap


def official_map(truth, predictions, tious):
  """The official algorithm, one prediction after the other; sorts stable, 0 / 0 overlap is 0."""
  per_class = {}
  for c in np.unique(truth.label):
    gt = np.flatnonzero(truth.label == c)
    mine = np.flatnonzero(predictions.label == c)
    mine = mine[np.argsort(predictions.scores[mine], kind="stable")[::-1]]
    tp = np.zeros((len(tious), len(mine)))
    for t, tiou in enumerate(tious):
      locked = set()
      for rank, i in enumerate(mine):
        rivals = gt[truth.video[gt] == predictions.video[i]]
        overlap = np.asarray([loop_tiou(predictions.segments[i], truth.segments[j])
                              for j in rivals])
        for k in np.argsort(overlap, kind="stable")[::-1]:
          if overlap[k] < tiou:
            break
          if rivals[k] not in locked:
            locked.add(rivals[k])
            tp[t, rank] = 1
            break
    per_class[c] = [voc_ap(np.cumsum(row), np.cumsum(1 - row), len(gt)) for row in tp]
  return np.asarray(list(per_class.values())).mean(axis=0), per_class


def loop_tiou(a, b):
  intersection = max(min(a[1], b[1]) - max(a[0], b[0]), 0)
  union = (b[1] - b[0]) + (a[1] - a[0]) - intersection
  return intersection / union if union > 0 else 0.0


def voc_ap(tp, fp, num_truths):
  """interpolated_prec_rec of the official code."""
  recall = np.hstack([[0], tp / num_truths, [1]])
  precision = np.hstack([[0], tp / np.maximum(tp + fp, 1), [0]])
  for i in range(len(precision) - 1)[::-1]:
    precision[i] = max(precision[i], precision[i + 1])
  step = np.flatnonzero(recall[1:] != recall[:-1]) + 1
  return np.sum((recall[step] - recall[step - 1]) * precision[step])


def make_truth(rows, num_classes=1):
  """Rows of (video, label, start, end)."""
  rows = np.asarray(rows, np.float64).reshape(-1, 4)
  return ap.GroundTruth(rows[:, 0].astype(int), rows[:, 1].astype(int), rows[:, 2:], num_classes)


def make_predictions(rows):
  """Rows of (video, label, start, end, score)."""
  rows = np.asarray(rows, np.float64).reshape(-1, 5)
  return ap.Predictions(rows[:, 0].astype(int), rows[:, 1].astype(int), rows[:, 2:4], rows[:, 4])


@pytest.mark.parametrize("span", ["0.5:0.95", "0.1:0.9"])
@pytest.mark.parametrize(("name", "truth_file"), [
    ("activitynet", "activitynet/activity_net.v1-3.json"),
    ("thumos14", "thumos14/thumos14_v2.json")])
def test_equals_the_official_code(data_dir, name, truth_file, span):
  official = json.loads((data_dir / f"evaluator/{name}_predictions.official.json").read_text())
  annotations = read_annotations(data_dir / truth_file)
  ids = subset_ids(annotations, official["subset"])
  file = read_predictions(data_dir / f"evaluator/{name}_predictions.json")
  result = ap.detection_map(ground_truth(annotations, ids, annotations.classes),
                            reindex(file, ids, annotations.classes), official[span]["tiou"])
  np.testing.assert_allclose(result.mean_ap, official[span]["mAP"], rtol=0, atol=1e-9)
  assert result.average_map == pytest.approx(official[span]["average_mAP"], rel=0, abs=1e-9)
  assert result.num_predictions == official["num_predictions"]


def test_hand_values():
  truth = make_truth([(0, 0, 0, 10), (0, 0, 20, 30), (1, 0, 0, 10), (1, 1, 0, 4)], 3)
  predictions = make_predictions([
      (0, 0, 0, 10, 0.9),  # hit
      (0, 0, 0, 9, 0.8),  # double detection: false positive
      (0, 0, 20, 26, 0.7),  # tIoU 0.6
      (1, 0, 50, 60, 0.6),  # no overlap
      (1, 2, 0, 4, 0.5)])  # class 2 has no truth: ignored
  result = ap.detection_map(truth, predictions, [0.5, 0.75])
  # Class 0: precision 1 at recall 1/3, 2/3 at recall 2/3 (tIoU 0.5). Class 1: no prediction, 0.
  np.testing.assert_allclose(result.ap[:, 0], [(1 + 2 / 3) / 3, 1 / 3])
  np.testing.assert_array_equal(result.ap[:, 1], 0)
  assert np.isnan(result.ap[:, 2]).all()
  np.testing.assert_allclose(result.mean_ap, result.ap[:, 0] / 2)
  assert result.average_map == pytest.approx(result.mean_ap.mean())
  assert (result.num_predictions, result.num_ignored) == (5, 1)


def test_the_threshold_itself_is_a_hit():
  result = ap.detection_map(make_truth([(0, 0, 0, 10)]), make_predictions([(0, 0, 0, 5, 1)]),
                            [0.5, 0.5000001])
  np.testing.assert_array_equal(result.mean_ap, [1, 0])


def test_a_better_prediction_may_block_the_only_truth_of_a_worse_one():
  truth = make_truth([(0, 0, 0, 10), (0, 0, 2, 12)])
  # Each alone would find a truth; the first takes [2, 12], the second can only have [0, 10].
  first, second = (0, 0, 2, 11, 0.9), (0, 0, 2, 10, 0.8)
  result = ap.detection_map(truth, make_predictions([first, second]), [0.75, 0.85])
  np.testing.assert_allclose(result.mean_ap, [1, 0.5])


def test_the_later_of_equal_scores_goes_first():
  truth = make_truth([(0, 0, 0, 10)])
  hit, miss = (0, 0, 0, 10, 0.5), (0, 0, 50, 60, 0.5)
  assert ap.detection_map(truth, make_predictions([miss, hit]), [0.5]).average_map == 1
  assert ap.detection_map(truth, make_predictions([hit, miss]), [0.5]).average_map == 0.5


def test_an_empty_prediction_does_not_hit_an_empty_truth():
  result = ap.detection_map(make_truth([(0, 0, 5, 5)]), make_predictions([(0, 0, 5, 5, 1)]))
  assert result.average_map == 0


def test_predictions_of_other_videos_are_false_positives():
  truth = make_truth([(0, 0, 0, 10)])
  rows = [(0, 0, 0, 10, 0.5), (-1, 0, 0, 10, 0.9), (7, 0, 0, 10, 0.8)]
  result = ap.detection_map(truth, make_predictions(rows), [0.5])
  assert result.average_map == pytest.approx(1 / 3) and result.num_ignored == 0


def test_no_predictions():
  result = ap.detection_map(make_truth([(0, 0, 0, 10)]), make_predictions([]))
  assert result.average_map == 0 and result.mean_ap.shape == (10,)


@pytest.mark.parametrize(("truth", "prediction", "message"), [
    ([], (0, 0, 0, 1, 1), "at least one truth"),
    ([(0, 1, 0, 1)], (0, 0, 0, 1, 1), "num_classes"),
    ([(0, 0, 0, np.inf)], (0, 0, 0, 1, 1), "not finite"),
    ([(0, 0, 0, 1)], (0, 0, 0, 1, np.nan), "NaN")])
def test_faulty_arrays(truth, prediction, message):
  with pytest.raises(ValueError, match=message):
    ap.detection_map(make_truth(truth), make_predictions([prediction]))


VIDEO, LABEL, TIME = st.integers(0, 3), st.integers(0, 2), st.integers(0, 8)
SCORE = st.integers(0, 20).map(lambda i: i / 20)  # ties are frequent
# Integer times make equal tIoU, duplicates and empty segments frequent.
TRUTHS = st.lists(st.tuples(VIDEO, LABEL, TIME, TIME), min_size=1, max_size=25)
PREDICTIONS = st.lists(st.tuples(st.integers(-1, 4), st.integers(-1, 3), TIME, TIME, SCORE),
                       max_size=60)
TIOUS = [0.1, 0.5, 0.75, 1.0]


@settings(max_examples=300, deadline=None)
@given(TRUTHS, PREDICTIONS)
def test_equals_the_loop(truth_rows, prediction_rows):
  truth, predictions = make_truth(truth_rows, 3), make_predictions(prediction_rows)
  result = ap.detection_map(truth, predictions, TIOUS)
  expected, per_class = official_map(truth, predictions, TIOUS)
  np.testing.assert_allclose(result.mean_ap, expected, rtol=0, atol=1e-12)
  for c, values in per_class.items():
    np.testing.assert_allclose(result.ap[:, c], values, rtol=0, atol=1e-12)
  assert result.num_ignored == sum(label not in per_class for label in predictions.label)


@settings(max_examples=100, deadline=None)
@given(TRUTHS, PREDICTIONS, st.randoms(use_true_random=False))
def test_order_does_not_matter_without_ties(truth_rows, prediction_rows, random):
  rows = [(*row[:4], i) for i, row in enumerate(prediction_rows)]
  before = ap.detection_map(make_truth(truth_rows, 3), make_predictions(rows), TIOUS)
  random.shuffle(rows)
  after = ap.detection_map(make_truth(truth_rows, 3), make_predictions(rows), TIOUS)
  np.testing.assert_array_equal(before.ap, after.ap)


@settings(max_examples=100, deadline=None)
@given(TRUTHS)
def test_the_truth_as_prediction_is_perfect(truth_rows):
  truth_rows = [(v, y, start, start + length + 1) for v, y, start, length in truth_rows]
  predictions = make_predictions([(*row, i) for i, row in enumerate(truth_rows)])
  assert ap.detection_map(make_truth(truth_rows, 3), predictions).average_map == pytest.approx(1)


def test_equals_the_loop_with_many_rivals():
  """One video, 60 overlapping truths, 300 predictions: many rounds of the greedy matching."""
  rng = np.random.default_rng(0)
  start = rng.uniform(0, 40, 60)
  truth = make_truth(np.stack([0 * start, 0 * start, start, start + rng.uniform(5, 30, 60)], 1))
  start = rng.uniform(0, 40, 300)
  rows = [0 * start, 0 * start, start, start + rng.uniform(5, 30, 300), rng.random(300)]
  predictions = make_predictions(np.stack(rows, 1))
  expected, _ = official_map(truth, predictions, ap.DEFAULT_TIOUS)
  np.testing.assert_allclose(ap.detection_map(truth, predictions).mean_ap, expected, atol=1e-12)


def _one_by_one(truth, predictions, tiou, excused):
  """AP per class, a prediction at a time; excused ones that hit nothing are skipped."""
  areas = []
  for label in range(truth.num_classes):
    free = set(np.flatnonzero(truth.label == label))
    num, hits, precisions = len(free), [], []
    own = np.flatnonzero(predictions.label == label)
    for i in own[np.argsort(-predictions.scores[own])]:
      best = max(((loop_tiou(predictions.segments[i], truth.segments[j]), j) for j in free
                  if truth.video[j] == predictions.video[i]), default=(0, None))
      if best[0] >= tiou:
        free.remove(best[1])
      elif excused[i]:
        continue
      hits.append(best[0] >= tiou)
      precisions.append(np.mean(hits))
    areas.append(sum(max(precisions[k:]) for k, hit in enumerate(hits) if hit) / num)
  return areas


def test_excused_predictions_count_only_as_hits():
  rng = np.random.default_rng(3)
  for _ in range(20):
    starts, begins = rng.uniform(0, 20, 8), rng.uniform(0, 20, 60)
    truth = ap.GroundTruth(rng.integers(0, 3, 8), np.arange(8) % 2, np.stack(
        [starts, starts + rng.uniform(1, 8, 8)], axis=1), 2)
    predictions = ap.Predictions(rng.integers(-1, 3, 60), rng.integers(0, 2, 60), np.stack(
        [begins, begins + rng.uniform(1, 8, 60)], axis=1), rng.permutation(60) / 60)
    excused = rng.random(60) < 0.5
    result = ap.detection_map(truth, predictions, [0.2, 0.5], excused=excused)
    for tiou, areas in zip((0.2, 0.5), result.ap, strict=True):
      np.testing.assert_allclose(areas, _one_by_one(truth, predictions, tiou, excused),
                                 rtol=0, atol=1e-12)
    assert (ap.detection_map(truth, predictions, [0.5], excused=np.zeros(60, bool)).ap
            == ap.detection_map(truth, predictions, [0.5]).ap).all()
