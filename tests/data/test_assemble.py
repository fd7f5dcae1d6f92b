"""From RawData to pools: what is encoded, normalised, labelled and kept."""

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest

from tal_jax.data import assemble as lib
from tal_jax.data.annotations import from_videos, select
from tal_jax.data.records import FrameFeatures, RawData, Split, TimeGrid, VideoAnnotation
from tal_jax.encoders.pooling import encode
from tal_jax.errors import DataError

GRID = TimeGrid(2.0)
SPLIT = Split(("k0", "k1"), ("s0", "s1", "s2"), ("t0",))
LABELS = {"k0": ("z",), "k1": ("b", "q"), "s0": ("b", "a"), "s1": (), "s2": ("b",),
          "t0": ("c", "a"), "w0": ("a",)}


def frames(video_id):
  rng = np.random.default_rng(list(video_id.encode()))
  values = rng.normal(3, 2, (rng.integers(20, 30), 4))
  values[:, 2] = 7.1  # a constant dimension
  return FrameFeatures(values, GRID)


def proposals(video_id):
  if video_id == "w0":
    raise AssertionError("a search result needs no proposals")
  starts = np.arange(5.0 + int(video_id[1]))
  return np.stack([starts, starts + 2.5], axis=1)


def make(search=("k0", "k1", "w0")):
  videos = {}
  for video_id, labels in LABELS.items():
    segments = np.array([[1.0 + i, 3.0 + i] for i in range(len(labels))]).reshape(-1, 2)
    if video_id == "t0":
      segments[1] = [5.0, 5.0]  # degenerate
    videos[video_id] = VideoAnnotation(video_id, "x", 12.0, segments, labels)
  annotations = from_videos(videos.values())
  return RawData(annotations, frames, proposals, SPLIT,
                 select(annotations, search) if search else None, "made by hand")


@pytest.mark.parametrize("encoder", ["mean", "context"])
def test_features_and_labels(encoder):
  calls = []
  got = lib.assemble(make(), name="n", encoder=encoder, normalize="none",
                     progress=lambda done, total: calls.append((done, total)))
  assert calls == [(i, 7) for i in range(1, 8)]
  assert (got.name, got.caption, got.ids) == ("n", "made by hand", SPLIT)
  assert got.classes == ("a", "b", "c") and got.knowledge_classes == ("b", "q", "z")
  for pool, ids in zip((got.knowledge_source, got.selection, got.testing), SPLIT, strict=True):
    assert pool.num_videos == len(ids) and pool.features.dtype == np.float32
    for i, video_id in enumerate(ids):
      real = pool.proposal_mask[i]
      np.testing.assert_allclose(pool.segments[i][real], proposals(video_id))
      np.testing.assert_allclose(
          pool.features[i][real],
          encode(frames(video_id).values, proposals(video_id), GRID, encoder=encoder), rtol=1e-5)
  np.testing.assert_array_equal(got.selection.truth_labels, [[1, 0], [-1, -1], [1, -1]])
  np.testing.assert_array_equal(got.knowledge_source.truth_labels, [[2, -1], [0, 1]])
  np.testing.assert_allclose(got.selection.truths[0], [[1, 3], [2, 4]])


def test_degenerate_truth_leaves_the_pool_but_not_the_metric():
  got = lib.assemble(make(), name="n", encoder="mean")
  np.testing.assert_array_equal(got.testing.truth_labels, [[2]])
  assert tuple(got.testing_annotations.videos) == ("t0",)
  assert got.testing_annotations.videos["t0"].labels == ("c", "a")


def test_search_results():
  got = lib.assemble(make(), name="n", encoder="context", normalize="none").search
  np.testing.assert_array_equal(got.labels, [-1, 1, 0])  # z is no class of Selection or Testing
  whole = encode(frames("w0").values, np.array([[0.0, 12.0]]), GRID, encoder="context")
  np.testing.assert_allclose(got.features[2], whole[0], rtol=1e-5)
  assert lib.assemble(make(search=()), name="n", encoder="mean").search is None


def test_standardised_by_selection_alone():
  plain = lib.assemble(make(), name="n", encoder="mean", normalize="none")
  got = lib.assemble(make(), name="n", encoder="mean")
  rows = plain.selection.features[plain.selection.proposal_mask].astype(np.float64)
  mean, deviation = rows.mean(axis=0), rows.std(axis=0)
  deviation[2] = np.inf  # constant: becomes 0
  for name in ("knowledge_source", "selection", "testing"):
    a, b = getattr(plain, name), getattr(got, name)
    mask = a.proposal_mask
    np.testing.assert_allclose(b.features[mask], (a.features[mask] - mean) / deviation, atol=1e-5)
    assert not b.features[~mask].any()
  np.testing.assert_allclose(got.search.features, (plain.search.features - mean) / deviation,
                             atol=1e-5)


def test_l2():
  got = lib.assemble(make(), name="n", encoder="mean", normalize="l2")
  norms = np.linalg.norm(got.testing.features[got.testing.proposal_mask], axis=-1)
  np.testing.assert_allclose(norms, 1, rtol=1e-6)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float16", 2e-3), ("bfloat16", 2e-2)])
def test_storage(dtype, tolerance):
  exact = lib.assemble(make(), name="n", encoder="mean")
  small = lib.assemble(make(), name="n", encoder="mean", dtype=dtype)
  assert small.selection.features.dtype == dtype
  np.testing.assert_allclose(small.selection.features.astype(np.float32), exact.selection.features,
                             atol=tolerance, rtol=tolerance)
  assert small.search.features.dtype == np.float32


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("first_videos", [1, 64])
def test_in_files(dtype, first_videos, tmp_path, monkeypatch):
  """Selection and Testing stand in files, with the values that memory would hold."""
  monkeypatch.setattr(lib, "_FIRST_VIDEOS", first_videos)
  options = dict(name="n", encoder="mean", dtype=dtype)
  wanted = lib.assemble(make(), **options)
  got = lib.assemble(make(), storage=str(tmp_path / "new"), **options)
  for name in ("selection", "testing"):
    a, b = getattr(wanted, name), getattr(got, name)
    assert isinstance(b.features, np.memmap) and b.features.filename.stem == name
    for x, y in zip(a, b, strict=True):
      np.testing.assert_array_equal(x, y)
  assert not isinstance(got.knowledge_source.features, np.memmap)


def test_a_folder_that_cannot_be_written(tmp_path):
  (tmp_path / "file").write_text("")
  with pytest.raises(DataError, match="data.storage: cannot write"):
    lib.assemble(make(), name="n", encoder="mean", storage=str(tmp_path / "file"))


@pytest.mark.parametrize("options", [dict(encoder="max"), dict(normalize="x"), dict(dtype="int8")])
def test_refuses(options):
  with pytest.raises(DataError, match="there are"):
    lib.assemble(make(), **(dict(name="n", encoder="mean") | options))


@hypothesis.settings(max_examples=50, deadline=None)
@hypothesis.given(hnp.arrays(np.float64, st.tuples(st.integers(1, 30), st.just(2)),
                             elements=st.floats(-1e3, 1e3)),
                  st.lists(st.integers(0, 30), max_size=4))
def test_running_moments_equal_one_pass(rows, cuts):
  moments = lib.RunningMoments()
  for part in np.split(rows, sorted(cuts)):
    moments.add(part)
  np.testing.assert_allclose(moments.mean, rows.mean(axis=0), atol=1e-9)
  np.testing.assert_allclose(moments.squares / len(rows), rows.var(axis=0), atol=1e-7)


@pytest.mark.parametrize(("faulty", "normalize"), [("s0", "none"), ("t0", "none"),
                                                   ("t0", "standardize"), ("k0", "standardize")])
def test_numbers_too_large_for_the_storage_are_refused(faulty, normalize):
  raw = make()

  def huge(video_id):
    values = frames(video_id)
    return values._replace(values=values.values * 1e7) if video_id == faulty else values

  with pytest.raises(DataError, match=f"^{faulty}: the features of its proposals .* float16"):
    lib.assemble(raw._replace(features=huge), name="n", encoder="mean", dtype="float16",
                 normalize=normalize)
  lib.assemble(raw._replace(features=huge), name="n", encoder="mean", normalize=normalize)
