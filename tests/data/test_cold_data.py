"""Data without a Knowledge-Source, and data of which rows, proposals or both are read."""

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from tal_jax.data import assemble, files, sources, splits
from tal_jax.data.annotations import from_videos, select, write_annotations
from tal_jax.data.features import write_features
from tal_jax.data.records import FrameFeatures, RawData, Split, TimeGrid, VideoAnnotation
from tal_jax.errors import DataError
from tal_jax.pool import PROPOSALS, ROWS
from tal_jax.runs import context
from tal_jax.runs.reporter import Reporter

OPTIONS = {"name": "n", "encoder": "mean"}


def video(video_id, subset="training", labels=("x",), **extra):
  segments = np.array([[1.0 + i, 4.0 + i] for i in range(len(labels))]).reshape(-1, 2)
  return VideoAnnotation(video_id, subset, 10.0, segments, tuple(labels), extra)


def people(number, clips=2):
  """Clips of so many people; numbers of people and texts, subsets of no consequence."""
  return from_videos(video(f"{s}_{i}", ("training", "validation")[i % 2],
                           subject=s if s % 2 else str(s))
                     for i in range(clips) for s in range(number))


def subjects(ids):
  return {i.split("_")[0] for i in ids}


@hypothesis.settings(max_examples=100, deadline=None)
@hypothesis.given(st.integers(2, 30), st.floats(0.01, 0.99), st.integers(0, 2**32 - 1))
def test_drawn_subjects(number, share, seed):
  annotations = people(number)
  split = splits.by_drawn_subjects(annotations, seed=seed, testing_share=share)
  assert split == splits.by_drawn_subjects(annotations, seed=seed, testing_share=share)
  assert not split.knowledge_source
  assert not subjects(split.selection) & subjects(split.testing)
  assert sorted(split.selection + split.testing) == sorted(annotations.videos)
  drawn = len(subjects(split.testing))
  assert drawn == min(max(1, round(share * number)), number - 1)
  for ids in split:  # the order is the file's
    assert list(ids) == [i for i in annotations.videos if i in ids]


def test_drawn_subjects_by_hand():
  """Three in ten; every subject is in Testing at some seed; the file's order has no say."""
  drawn = [subjects(splits.by_drawn_subjects(people(10), seed=seed).testing) for seed in range(40)]
  assert {len(s) for s in drawn} == {3} and set.union(*drawn) == set(map(str, range(10)))
  assert len(set(map(frozenset, drawn))) > 20
  turned = from_videos(list(people(10).videos.values())[::-1])
  assert subjects(splits.by_drawn_subjects(turned, seed=7).testing) == drawn[7]
  other = from_videos(video(str(i), person=i) for i in range(2))
  split = splits.by_drawn_subjects(other, seed=0, key="person")
  assert list(map(len, split)) == [0, 1, 1]


@pytest.mark.parametrize(("annotations", "options", "message"), [
    (people(1), {}, r"the file has 1 subject\(s\); one is needed for Selection and one"),
    (from_videos([]), {}, r"the file has 0 subject\(s\)"),
    (people(3), {"key": "camera"}, r"6 video\(s\) have no field 'camera', e.g. 0_0, 1_0"),
    (from_videos([video("a", subject=1), video("b"), video("c", subject=2)]), {},
     r"1 video\(s\) have no field 'subject', e.g. b. Add it .* data.split.key"),
    (people(3), {"testing_share": 0.0}, "testing_share = 0.0: it must be between 0 and 1"),
    (people(3), {"testing_share": 1.0}, "between 0 and 1")])
def test_drawn_subjects_refuses(annotations, options, message):
  with pytest.raises(DataError, match=message) as fault:
    splits.by_drawn_subjects(annotations, seed=0, **options)
  assert "\n" not in str(fault.value)


def test_only_a_cold_split_may_lack_knowledge():
  cold = Split((), ("a",), ("b",))
  assert splits.checked(cold, cold=True) == cold
  with pytest.raises(DataError, match="leaves knowledge_source empty"):
    splits.checked(cold)
  for lacking in (Split((), (), ("b",)), Split((), ("a",), ())):
    with pytest.raises(DataError, match="leaves (selection|testing) empty"):
      splits.checked(lacking, cold=True)
  with pytest.raises(DataError, match="not disjoint"):
    splits.checked(Split((), ("a",), ("a",)), cold=True)


# -- assemble

IDS = ("s0", "s1", "s2", "t0", "t1")
WARM = Split(("k0",), ("s0", "s1", "s2"), ("t0", "t1"))
COLD = WARM._replace(knowledge_source=())
LABELS = {"k0": ("z",), "s0": ("b", "a"), "s1": (), "s2": ("b",), "t0": ("c", "a"), "t1": ("a",)}


def frames(video_id):
  rng = np.random.default_rng(list(video_id.encode()))
  return FrameFeatures(rng.normal(3, 2, (rng.integers(12, 20), 4)).astype(np.float32),
                       TimeGrid(2.0))


def windows(video_id):
  starts = np.arange(3.0 + int(video_id[1]))
  return np.stack([starts, starts + 2.5], axis=1)


def raw(split, *, search=(), proposals=windows):
  annotations = from_videos(video(i, "x", labels) for i, labels in LABELS.items())
  return RawData(annotations, frames, proposals, split, select(annotations, search)
                 if search else None, "by hand")


def untouched(video_id):
  raise AssertionError("nobody reads proposals")


def equal(a, b):
  for x, y in zip(a, b, strict=True):
    if isinstance(x, tuple):
      equal(x, y)
    else:
      np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("reads", [(PROPOSALS,), (ROWS,), (PROPOSALS, ROWS)])
def test_without_knowledge_source(reads, tmp_path):
  """Selection and Testing are as with one; its own pool is empty, of the same widths."""
  calls = []
  got = assemble.assemble(raw(COLD), reads=reads, **OPTIONS,
                          progress=lambda *done: calls.append(done))
  assert calls == [(i, 5 * len(reads)) for i in range(1, 5 * len(reads) + 1)]
  warm = assemble.assemble(raw(WARM), reads=reads, **OPTIONS)
  assert got.ids == COLD and got.knowledge_classes == () and got.search is None
  assert got.classes == warm.classes == ("a", "b", "c")
  equal(got.selection, warm.selection)
  equal(got.testing, warm.testing)
  empty = got.knowledge_source
  assert empty.num_videos == 0 and not empty.truth_mask.any()
  if PROPOSALS in reads:
    assert empty.dim == got.selection.dim
  if ROWS in reads:
    assert empty.rows.num_videos == 0 and empty.rows.dim == 4
    np.testing.assert_array_equal(empty.rows.mean, got.selection.rows.mean)
  stored = assemble.assemble(raw(COLD), reads=reads, storage=str(tmp_path), **OPTIONS)
  equal(stored.selection, got.selection)
  equal(context.place(got).selection.truths[:, :1], got.selection.truths[:, :1])


def test_rows_alone():
  """Proposals are neither drawn nor encoded, and no search result is; labels are the same."""
  calls = []
  got = assemble.assemble(raw(WARM, search=("k0",), proposals=untouched), reads=(ROWS,), **OPTIONS,
                          progress=lambda *done: calls.append(done))
  both = assemble.assemble(raw(WARM), reads=(PROPOSALS, ROWS), **OPTIONS)
  assert calls[-1] == (6, 6) and got.search is None
  for name, ids in zip(Split._fields, WARM, strict=True):
    pool, other = getattr(got, name), getattr(both, name)
    assert pool.features.shape == (len(ids), 1, 1) and pool.segments.shape == (len(ids), 1, 2)
    np.testing.assert_array_equal(pool.segments[:, 0, 1], pool.durations)
    assert pool.proposal_mask.all() and not pool.features.any()
    for field in ("truths", "truth_labels", "truth_mask", "durations"):
      np.testing.assert_array_equal(getattr(pool, field), getattr(other, field))
    equal(pool.rows, other.rows)
  assert (got.classes, got.knowledge_classes) == (both.classes, both.knowledge_classes)


def test_both_are_what_each_is_alone():
  both, one = (assemble.assemble(raw(WARM, search=("k0",)), reads=reads, **OPTIONS)
               for reads in ((ROWS, PROPOSALS), (PROPOSALS,)))
  for name in Split._fields:
    pool = getattr(both, name)
    assert pool.rows is not None and getattr(one, name).rows is None
    equal(pool._replace(rows=None)[:-1], getattr(one, name)[:-1])
  equal(both.search, one.search)


# -- the source `files`, and an experiment on it

def write(folder, number=6):
  rng = np.random.default_rng(0)
  made = [video(f"{s}_{i}", subject=s, labels=("ab"[i],), fps=2.0)
          for s in range(number) for i in range(2)]
  write_annotations(folder / "a.json", from_videos(made))
  write_features(folder / "f", [(v.video_id, FrameFeatures(
      rng.normal(size=(20, 3)).astype(np.float32), TimeGrid(2.0))) for v in made])
  return {"source": "files", "seed": 0, "normalize": "standardize", "dtype": "float32",
          "storage": "", "annotations": str(folder / "a.json"), "features": str(folder / "f"),
          "fps": 2.0, "stride": 1.0, "window": 1.0, "windows": {"shortest": 3.0},
          "split": {"kind": "drawn_subjects", "testing_share": 0.34}}


@pytest.mark.parametrize("reads", [(PROPOSALS,), (ROWS,)])
def test_the_source_files(tmp_path, reads):
  options = write(tmp_path)
  found = [sources.load(options, seed=seed, encoder="mean", reads=reads) for seed in (0, 0, 1)]
  assert found[0].ids == found[1].ids != found[2].ids
  assert list(map(len, found[0].ids)) == [0, 8, 4]
  assert not subjects(found[0].ids.selection) & subjects(found[0].ids.testing)
  assert found[0].search is None and found[0].knowledge_source.num_videos == 0
  assert found[0].selection.num_videos == 8


def test_a_video_without_features_may_be_left_out(tmp_path):
  options = write(tmp_path)
  (tmp_path / "f" / "3_0.npy").unlink()
  with pytest.raises(DataError, match="no features"):
    sources.load(options, seed=0, encoder="mean")
  data = sources.load(options | {"allow_missing": True}, seed=0, encoder="mean")
  assert len(sum(data.ids, ())) == 11 and not data.ids.knowledge_source


@pytest.mark.parametrize(("split", "message"), [
    ({"kind": "drawn_subjects", "key": "camera"}, "no field 'camera'"),
    ({"kind": "drawn_subjects", "testing_share": "0.3"}, "data.split: '<' not supported"),
    ({"kind": "drawn_subjects", "num_knowledge_subjects": 2},
     "drawn_subjects. has no option num_knowledge"),
    ({"kind": "drawn"}, "data.split.kind = 'drawn'; there are class, drawn_subjects, list")])
def test_settings_of_the_split(tmp_path, split, message):
  with pytest.raises(DataError, match=message):
    sources.load(write(tmp_path) | {"split": split}, seed=0, encoder="mean")
  assert files.split_subsets("drawn_subjects", {}) is None


@pytest.mark.parametrize(("strategies", "names"), [
    (("random", "mcle"), "mcle learns"), (("lal",), "lal learns"),
    (("lal", "mcle"), "lal and mcle learn")])
def test_strategies_that_learn_from_knowledge_source(tmp_path, strategies, names):
  from configs import real
  config = real.get_config("rats")
  config.model, config.strategies = "paper", strategies
  data = write(tmp_path)
  config.data.annotations, config.data.features = data["annotations"], data["features"]
  config.data.fps, config.data.stride, config.data.window = 2.0, 1.0, 1.0
  with Reporter("test") as report, pytest.raises(DataError) as fault:
    context.build(context.checked(config), 0, tmp_path, report)
  assert str(fault.value).startswith(f"{names} from Knowledge-Source") and (
      "\n" not in str(fault.value))
  config.strategies = ("random", "uncertainty")
  with Reporter("test") as report:
    shared = context.build(context.checked(config), 0, tmp_path, report)
  assert shared.data.ids.knowledge_source == ()
  assert set(shared.selection) == {"random", "uncertainty"}
