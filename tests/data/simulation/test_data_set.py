"""The embedded data set: determinism, ranges, splits, and that there is something to learn."""

import hashlib

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.svm import LinearSVC

from tal_jax.data.records import Annotations, Split, VideoAnnotation
from tal_jax.data.simulation import data_set as simulated
from tal_jax.errors import DataError
from tal_jax.host_segments import tiou_float64

_SMALL = dict(num_knowledge_classes=4, num_selection_classes=6, num_knowledge_videos=12,
              num_selection_videos=30, num_testing_videos=12, frame_dim=16, num_proposals=8)


def _ids(raw):
  search = tuple(raw.search.videos) if raw.search else ()
  return (*raw.split.knowledge_source, *raw.split.selection, *raw.split.testing, *search)


def _digest(raw, ids):
  digests = {}
  for video_id in ids:
    values, grid = raw.features(video_id)
    parts = (values.tobytes(), raw.proposals(video_id).tobytes(), repr(grid).encode())
    digests[video_id] = hashlib.sha256(b"".join(parts)).hexdigest()
  return digests


def test_same_seed_same_bytes_in_any_order_of_access():
  a = simulated.load(seed=3, num_search_per_class=1, **_SMALL)
  b = simulated.load(seed=3, num_search_per_class=1, **_SMALL)
  ids = _ids(a)
  assert ids == _ids(b)
  assert _digest(a, ids) == _digest(b, reversed(ids))
  assert _digest(a, ids[:5]) == _digest(a, ids[:5])
  for video_id, video in a.annotations.videos.items():
    assert video.segments.tobytes() == b.annotations.videos[video_id].segments.tobytes()


def test_different_seeds_differ():
  a, b = (simulated.load(seed=seed, **_SMALL) for seed in (0, 1))
  first, second = _digest(a, _ids(a)), _digest(b, _ids(b))
  assert all(first[video_id] != second[video_id] for video_id in first)


def test_features_and_proposals_are_well_formed():
  raw = simulated.load(seed=0, num_search_per_class=1, seconds_per_frame=0.5, **_SMALL)
  for video_id in _ids(raw):
    videos = raw.search.videos if video_id.startswith("sim_q") else raw.annotations.videos
    video = videos[video_id]
    values, grid = raw.features(video_id)
    assert values.dtype == np.float32 and values.shape == (np.ceil(video.duration / 0.5), 16)
    assert np.all(np.isfinite(values)) and np.all(values >= 0)
    assert 0.2 < np.mean(values == 0) < 0.8
    assert (grid.fps, grid.stride, grid.window) == (2.0, 1.0, 1.0)
    assert raw.proposals(video_id).shape == (8, 2)
  assert "simulated" in raw.caption.lower() and "no evidence about ActivityNet" in raw.caption


def test_knowledge_source_and_selection_share_no_class():
  raw = simulated.load(seed=0, **_SMALL)

  def classes(ids):
    return {label for video_id in ids for label in raw.annotations.videos[video_id].labels}

  assert len(classes(raw.split.knowledge_source)) == 4
  assert not classes(raw.split.knowledge_source) & classes(raw.split.selection)
  assert classes(raw.split.selection) == classes(raw.split.testing)
  assert len(set(_ids(raw))) == 12 + 30 + 12
  for subset, ids in zip(raw.split._fields, raw.split, strict=True):
    assert {raw.annotations.videos[video_id].subset for video_id in ids} == {subset}


def test_search_videos_are_of_selection_classes_and_as_many_show_none():
  raw = simulated.load(seed=0, num_search_per_class=3, **_SMALL)
  videos = list(raw.search.videos.values())
  assert len(videos) == 2 * 3 * 6
  shown = [video.labels[0] for video in videos if video.labels]
  assert sorted(shown) == sorted(3 * list(raw.search.classes))
  assert all(not len(v.segments) for v in videos if not v.labels)
  assert all(v.extra["query"] == v.labels[0] for v in videos if v.labels)
  assert simulated.load(seed=0, **_SMALL).search is None


def test_near_duplicates_look_alike_and_other_videos_do_not():
  raw = simulated.load(seed=0, duplicate_ratio=0.5, **_SMALL)
  ids = raw.split.selection
  segments = {i: raw.annotations.videos[i].segments for i in ids}
  means = {i: raw.features(i).values.mean(0) for i in ids}
  twins, others = [], []
  for n, i in enumerate(ids):
    for j in ids[:n]:
      same = len(segments[i]) == len(segments[j])
      ratio = segments[i][-1, 1] / segments[j][-1, 1]
      alike = same and abs(ratio - 1) < 0.05 and np.allclose(segments[i], segments[j] * ratio)
      (twins if alike else others).append(np.corrcoef(means[i], means[j])[0, 1])
  assert len(twins) > 5
  assert np.quantile(twins, 0.1) > np.quantile(others, 0.95)


def test_real_timelines_keep_their_annotations():
  videos = {}
  for i, subset in enumerate(4 * ["training"] + 2 * ["validation"]):
    segments = np.array([[1.0, 5.0], [4.0, 9.0]])  # real ones may overlap
    videos[f"v{i}"] = VideoAnnotation(f"v{i}", subset, 10.0 + i, segments, ("a", "ab"[i % 2]))
  annotations = Annotations(videos, ("a", "b"))
  split = Split(("v0", "v1"), ("v2", "v3"), ("v4", "v5"))
  raw = simulated.load_with_annotations(annotations, split, seed=0, frame_dim=8,
                                        num_search_per_class=2)
  assert raw.annotations is annotations and raw.split is split
  assert len(raw.search.videos) == 2 * 2 * 2
  for i, video_id in enumerate(videos):
    assert raw.features(video_id).values.shape == (10 + i, 8)
    assert raw.proposals(video_id).shape == (32, 2)
  assert "Real timelines" in raw.caption and "no evidence about ActivityNet" in raw.caption
  with pytest.raises(DataError, match="'nobody'"):
    simulated.load_with_annotations(annotations, Split((), ("nobody",), ()), seed=0)
  videos["v0"] = videos["v0"]._replace(duration=0.0)
  with pytest.raises(DataError, match="'v0' has duration 0.0"):
    simulated.load_with_annotations(annotations, split, seed=0)


@pytest.mark.parametrize("wrong", [
    {"num_testing_videos": 0}, {"frame_dim": 0}, {"seconds_per_frame": -1.0}, {"seed": -1},
    {"num_search_per_class": -1}, {"useless_ratio": 1.5}, {"latent_dim": 0},
    {"transfer": 0.8, "context_share": 0.5}, {"no_such_knob": 1}])
def test_wrong_settings_are_named(wrong):
  with pytest.raises(DataError, match=next(iter(wrong))):
    simulated.load(**({"seed": 0} | _SMALL | wrong))


def _pooled(raw, ids):
  """[before | inside | after] means of frames by their centres, slow; positives; labels."""
  x, y, labels = [], [], []
  for video_id in ids:
    values, grid = raw.features(video_id)
    centres = (np.arange(len(values)) + 0.5) / grid.fps
    video = raw.annotations.videos[video_id]
    proposals = raw.proposals(video_id)
    for start, end in proposals:
      half, parts = (end - start) / 2, []
      for a, b in ((start - half, start), (start, end), (end, end + half)):
        inside = (centres >= a) & (centres < b)
        parts.append(values[inside].mean(0) if inside.any() else np.zeros(values.shape[1]))
      if not parts[1].any():
        parts[1] = values[np.argmin(np.abs(centres - (start + end) / 2))]
      x.append(np.concatenate(parts))
    over = tiou_float64(proposals, video.segments)
    y.append(over.max(1) > 0.7)
    labels.append(np.asarray(video.labels)[over.argmax(1)])
  return np.asarray(x), np.concatenate(y), np.concatenate(labels)


def test_more_labels_teach_more():
  raw = simulated.load(seed=0, num_knowledge_classes=10, num_selection_classes=30,
                       num_knowledge_videos=10, num_selection_videos=300, num_testing_videos=150,
                       frame_dim=64)
  d = 64
  test_x, test_y, test_labels = _pooled(raw, raw.split.testing)
  scores = []
  for count in (30, 300):
    x, y, labels = _pooled(raw, raw.split.selection[:count])
    mean, scale = x.mean(0), x.std(0) + 1e-6
    x, z = (x - mean) / scale, (test_x - mean) / scale
    svm = LinearSVC(C=1e-3, dual=False).fit(x, y)
    ap = average_precision_score(test_y, svm.decision_function(z))
    inside = slice(d, 2 * d)
    classifier = LogisticRegression(C=0.03, max_iter=100).fit(x[y, inside], labels[y])
    scores.append((ap, np.mean(classifier.predict(z[test_y, inside]) == test_labels[test_y])))
  (few_ap, few_accuracy), (all_ap, all_accuracy) = scores
  assert all_ap > 1.15 * few_ap and 0.25 < all_ap < 0.75
  assert all_accuracy > 1.5 * few_accuracy and 0.25 < all_accuracy < 0.9
