"""Splits: disjoint, complete by their rule, functions of the seed."""

import json

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from tal_jax.data import splits as lib
from tal_jax.data.annotations import from_videos, read_annotations
from tal_jax.data.records import VideoAnnotation
from tal_jax.errors import DataError


def video(video_id, subset, labels, **extra):
  segments = np.array([[i, i + 1.0] for i in range(len(labels))]).reshape(-1, 2)
  return VideoAnnotation(video_id, subset, 10.0, segments, tuple(labels), extra)


def some(num_classes=6, per_class=4):
  return from_videos(video(f"{c}{i}", "validation" if i == 0 else "training", [f"class{c}"])
                     for c in range(num_classes) for i in range(per_class))


@hypothesis.settings(max_examples=50, deadline=None)
@hypothesis.given(st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_by_class(num_knowledge, seed):
  annotations = some()
  split = lib.by_class(annotations, num_knowledge_classes=num_knowledge, seed=seed)
  assert split == lib.by_class(annotations, num_knowledge_classes=num_knowledge, seed=seed)
  classes = [{annotations.videos[i].labels[0] for i in ids} for ids in split]
  assert len(classes[0]) == num_knowledge and not classes[0] & classes[1]
  assert classes[1] == classes[2]
  assert list(map(len, split)) == [3 * num_knowledge, 3 * (6 - num_knowledge), 6 - num_knowledge]
  assert {annotations.videos[i].subset for i in split.testing} == {"validation"}


def test_by_class_mixed_and_empty_videos():
  annotations = from_videos([video("a", "training", ["x"]), video("b", "training", ["y"]),
                             video("both", "training", ["x", "y"]), video("none", "training", []),
                             video("t", "validation", ["x"]), video("u", "validation", ["y"])])
  for seed in range(4):
    split = lib.by_class(annotations, num_knowledge_classes=1, seed=seed)
    assert "both" not in sum(split, ())
    assert "none" in split.selection


def test_by_class_differs_by_seed():
  splits = {lib.by_class(some(), num_knowledge_classes=3, seed=seed) for seed in range(10)}
  assert len(splits) > 5


@pytest.mark.parametrize("number", [0, 6])
def test_by_class_refuses_numbers(number):
  with pytest.raises(DataError, match="of 6 in the file"):
    lib.by_class(some(), num_knowledge_classes=number, seed=0)


def test_empty_set_is_named():
  with pytest.raises(DataError, match="leaves testing empty"):
    lib.by_class(some(), num_knowledge_classes=2, seed=0, testing_subset="val")


def people(testing=("9",)):
  return from_videos([video(f"{s}_{i}", "training", ["x"], subject=int(s), camera=s)
                      for s in ("1", "2", "10", "11") for i in range(2)]
                     + [video(f"t{s}", "validation", ["x"], subject=int(s)) for s in testing])


@hypothesis.settings(max_examples=50, deadline=None)
@hypothesis.given(st.integers(1, 3), st.integers(0, 1000))
def test_by_subject(number, seed):
  split = lib.by_subject(people(), num_knowledge_subjects=number, seed=seed)
  subjects = [{i.split("_")[0] for i in ids} for ids in split[:2]]
  assert len(subjects[0]) == number and not subjects[0] & subjects[1]
  assert len(split.knowledge_source + split.selection) == 8 and split.testing == ("t9",)


def test_by_subject_refuses():
  with pytest.raises(DataError, match="1 subject.* in Testing and in another set, e.g. 10"):
    lib.by_subject(people(testing=("9", "10")), num_knowledge_subjects=1, seed=0)
  with pytest.raises(DataError, match=r"1 video\(s\) have no field 'camera', e.g. t9"):
    lib.by_subject(people(), num_knowledge_subjects=1, seed=0, key="camera")
  with pytest.raises(DataError, match="5 Knowledge-Source subjects of 4 in subset training"):
    lib.by_subject(people(), num_knowledge_subjects=5, seed=0)
  with pytest.raises(DataError, match="leaves selection empty"):
    lib.by_subject(people(), num_knowledge_subjects=4, seed=0)


@hypothesis.settings(max_examples=50, deadline=None)
@hypothesis.given(st.lists(st.sampled_from(["training", "validation", "extra"]), min_size=1))
def test_by_subsets(subsets):
  annotations = from_videos(video(f"v{i}", name, ["x"]) for i, name in enumerate(subsets))
  wanted = [tuple(f"v{i}" for i, name in enumerate(subsets) if name == one)
            for one in ("training", "validation")]
  if not all(wanted):
    with pytest.raises(DataError, match="leaves .* empty"):
      lib.by_subsets(annotations)
    return
  assert lib.by_subsets(annotations) == ((), *wanted)


def test_by_subsets_with_other_names():
  annotations = from_videos([video("a", "one", ["x"]), video("b", "two", ["x"]),
                             video("c", "three", [])])
  assert lib.by_subsets(annotations, selection_subset=("one", "three"),
                        testing_subset="two") == ((), ("a", "c"), ("b",))
  with pytest.raises(DataError, match="not disjoint: 1 id"):
    lib.by_subsets(annotations, selection_subset="one", testing_subset=("one", "two"))


def test_a_split_without_knowledge_source_is_pointed_to():
  one_class = from_videos([video("a", "training", ["x"]), video("b", "validation", ["x"])])
  for refused in (lambda: lib.by_class(one_class, num_knowledge_classes=1, seed=0),
                  lambda: lib.by_class(some(), num_knowledge_classes=50, seed=0),
                  lambda: lib.by_subject(people(), num_knowledge_subjects=0, seed=0)):
    with pytest.raises(DataError, match="kind 'subsets' or 'drawn_subjects' .configs/files.py:sub"):
      refused()


def test_a_list_without_knowledge_source(tmp_path):
  path = tmp_path / "split.json"
  for lists in ({"knowledge_source": [], "selection": ["11", "10"], "testing": ["20"]},
                {"selection": ["11", "10"], "testing": ["20"]}):
    path.write_text(json.dumps(lists))
    assert lib.by_list(some(), path=path) == ((), ("11", "10"), ("20",))
  path.write_text(json.dumps({"selection": [], "testing": []}))
  with pytest.raises(DataError, match="split.json leaves selection and testing empty: add ids"):
    lib.by_list(some(), path=path)
  with pytest.raises(DataError, match="data.split.path is not set: add --config.data.split.path="):
    lib.by_list(some(), path="")


def test_by_list(tmp_path):
  annotations, path = some(), tmp_path / "split.json"

  def split(**lists):
    path.write_text(json.dumps(lists))
    return lib.by_list(annotations, path=path)

  good = dict(knowledge_source=["00"], selection=["11", "10"], testing=["20"])
  assert split(**good) == (("00",), ("11", "10"), ("20",))
  for change, message in (({"testing": ["11"]}, "not disjoint.*11"),
                          ({"testing": ["zz"]}, "1 id.* not annotated, e.g. zz"),
                          ({"testing": []}, "leaves testing empty"),
                          ({"testing": [1]}, "no list of ids 'testing'")):
    with pytest.raises(DataError, match=message):
      split(**(good | change))


def test_activitynet_by_class(data_dir):
  """The reading of the paper's counts that the module states."""
  annotations = read_annotations(data_dir / "activitynet" / "activity_net.v1-3.json")
  split = lib.by_class(annotations, num_knowledge_classes=50, seed=0)
  assert list(map(len, split)) == pytest.approx([2500, 7500, 3700], rel=0.05)


def test_hapt_by_subject(data_dir):
  annotations = read_annotations(data_dir / "hapt" / "hapt.json")
  split = lib.by_subject(annotations, num_knowledge_subjects=6, seed=0)
  people = [{annotations.videos[i].extra["subject"] for i in ids} for ids in split]
  assert list(map(len, people)) == [6, 15, 9] and len(split.testing) == 106
