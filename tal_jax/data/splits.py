"""The three disjoint sets of the paper's protocol: Knowledge-Source, Selection, Testing.

Source: the paper, Sec. 4.1: ActivityNet 1.3, category-disjoint, 50 classes Knowledge-Source and
150 Selection, Testing with unseen videos of the 150.

A gap in the paper: its counts (2,790 + 11,160 + 3,724) exceed the 14,950 videos of the training
and validation sets, so they cannot all be disjoint as described. We read them as: training videos
of the 50 classes = Knowledge-Source, training videos of the other 150 = Selection, validation
videos of the 150 = Testing. On ActivityNet 1.3 that is about 2,500 + 7,500 + 3,700 videos. The
validation videos of the 50 classes, and a video with classes of both kinds, are in no set.

Data with few classes are split by subject, by subsets alone, or by a list of ids. Splits depend on
the seed and the annotations alone. Videos keep the file's order.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence

import numpy as np

from tal_jax.data.records import Annotations, Split
from tal_jax.data.text.json_file import load_json, plain
from tal_jax.errors import DataError

Names = str | Sequence[str]


_NO_KNOWLEDGE = ("Without a Knowledge-Source it is a split of the kind 'subsets' or "
                 "'drawn_subjects' (configs/files.py:subsets)")


def by_class(annotations: Annotations, *, num_knowledge_classes: int, seed: int,
             knowledge_subset: Names = "training", selection_subset: Names = "training",
             testing_subset: Names = "validation") -> Split:
  """A category-disjoint split [Sec. 4.1]: Knowledge-Source shares no class with the others.

  Videos without any instance count as Selection or Testing, by subset.

  Args:
    annotations: all videos.
    num_knowledge_classes: classes of Knowledge-Source, drawn at random; the paper's: 50 of 200.
    seed: of the draw.
    knowledge_subset: name or names of the subset, and so on.

  Raises:
    DataError: no class left for one of the sides, or an empty set.
  """
  num_classes = len(annotations.classes)
  if num_classes < 2:
    raise DataError(f"split by class: the file has {num_classes} class(es) that can be read; two "
                    f"are needed at least. {_NO_KNOWLEDGE}")
  if not 0 < num_knowledge_classes < num_classes:
    raise DataError(f"split by class: {num_knowledge_classes} Knowledge-Source classes of "
                    f"{num_classes} in the file; data.split.num_knowledge_classes must be from 1 "
                    f"to {num_classes - 1}. {_NO_KNOWLEDGE}")
  order = np.random.default_rng(seed).permutation(num_classes)
  knowledge = {annotations.classes[i] for i in order[:num_knowledge_classes]}
  sets = {"knowledge_source": [], "selection": [], "testing": []}
  for video_id, video in annotations.videos.items():
    labels = set(video.labels)
    if labels and labels <= knowledge:
      if video.subset in names(knowledge_subset):
        sets["knowledge_source"].append(video_id)
    elif not labels & knowledge:
      if video.subset in names(selection_subset):
        sets["selection"].append(video_id)
      if video.subset in names(testing_subset):
        sets["testing"].append(video_id)
  return checked(Split(**{name: tuple(ids) for name, ids in sets.items()}))


def by_subject(annotations: Annotations, *, num_knowledge_subjects: int, seed: int,
               knowledge_subset: Names = "training", selection_subset: Names = "training",
               testing_subset: Names = "validation", key: str = "subject") -> Split:
  """A split whose three sets are disjoint in subjects (people, cameras), not in classes.

  Args:
    annotations: all videos, each with a field `key` where its subset is used.
    num_knowledge_subjects: subjects of Knowledge-Source, drawn at random among those of
      `knowledge_subset`; the rest of `selection_subset` is Selection.
    seed: of the draw.
    key: the field of the annotation file that names the subject.

  Raises:
    DataError: a video without the field, a subject of Testing that is also in another set, too
      few subjects, or an empty set.
  """
  knowledge_names, selection_names = names(knowledge_subset), names(selection_subset)
  testing_names = names(testing_subset)
  used = {video_id: video for video_id, video in annotations.videos.items()
          if video.subset in {*knowledge_names, *selection_names, *testing_names}}
  lacking = [video_id for video_id, video in used.items() if video.extra.get(key) is None]
  if lacking:
    raise DataError(f"split by subject: {len(lacking)} video(s) have no field {key!r}, e.g. "
                    f"{', '.join(lacking[:5])}. Add it to the annotation file, or name another "
                    "field with data.split.key.")
  subject = {video_id: str(video.extra[key]) for video_id, video in used.items()}
  candidates = sorted({subject[i] for i, video in used.items() if video.subset in knowledge_names},
                      key=lambda name: (len(name), name))  # 2 before 10
  if not 0 < num_knowledge_subjects <= len(candidates):
    raise DataError(f"split by subject: {num_knowledge_subjects} Knowledge-Source subjects of "
                    f"{len(candidates)} in subset {'/'.join(knowledge_names)}; "
                    "data.split.num_knowledge_subjects must be from 1 to their number. "
                    + _NO_KNOWLEDGE)
  order = np.random.default_rng(seed).permutation(len(candidates))
  knowledge = {candidates[i] for i in order[:num_knowledge_subjects]}
  split = Split(
      tuple(i for i, video in used.items()
            if video.subset in knowledge_names and subject[i] in knowledge),
      tuple(i for i, video in used.items()
            if video.subset in selection_names and subject[i] not in knowledge),
      tuple(i for i, video in used.items() if video.subset in testing_names))
  seen = {subject[i] for i in split.knowledge_source + split.selection}
  shared = sorted(seen & {subject[i] for i in split.testing})
  if shared:
    raise DataError(f"split by subject: {len(shared)} subject(s) are in Testing and in another "
                    f"set, e.g. {', '.join(shared[:5])}. Use a split by list if that is meant.")
  return checked(split)


def by_subsets(annotations: Annotations, *, selection_subset: Names = "training",
               testing_subset: Names = "validation") -> Split:
  """The cold protocol with the subsets of the annotation file: no Knowledge-Source.

  Args:
    annotations: all videos.
    selection_subset, testing_subset: name or names of the subset.

  Raises:
    DataError: an empty set, or a subset that is in both.
  """
  selection, testing = names(selection_subset), names(testing_subset)
  return checked(Split((), *(tuple(i for i, video in annotations.videos.items()
                                   if video.subset in wanted)
                             for wanted in (selection, testing))), cold=True)


def by_drawn_subjects(annotations: Annotations, *, seed: int, testing_share: float = 0.3,
                      key: str = "subject") -> Split:
  """The cold protocol: no Knowledge-Source, and Testing is the videos of subjects drawn at random.

  The subsets of the annotation file do not count.

  Args:
    annotations: all videos, each with a field `key`.
    seed: of the draw.
    testing_share: of the subjects that are Testing's, at least one; the rest are Selection's.
    key: the field of the annotation file that names the subject.

  Raises:
    DataError: a video without the field, or fewer than two subjects.
  """
  lacking = [video_id for video_id, video in annotations.videos.items()
             if video.extra.get(key) is None]
  if lacking:
    raise DataError(f"split by drawn subjects: {len(lacking)} video(s) have no field {key!r}, e.g. "
                    f"{', '.join(lacking[:5])}. Add it to the annotation file, or name another "
                    "field with data.split.key.")
  if not 0 < testing_share < 1:
    raise DataError(f"data.split.testing_share = {testing_share}: it must be between 0 and 1")
  subject = {video_id: str(video.extra[key]) for video_id, video in annotations.videos.items()}
  subjects = sorted(set(subject.values()), key=lambda name: (len(name), name))
  if len(subjects) < 2:
    raise DataError(f"split by drawn subjects: the file has {len(subjects)} subject(s); one is "
                    "needed for Selection and one for Testing")
  number = min(max(1, round(testing_share * len(subjects))), len(subjects) - 1)
  order = np.random.default_rng(seed).permutation(len(subjects))
  testing = {subjects[i] for i in order[:number]}
  return checked(Split((), tuple(i for i in subject if subject[i] not in testing),
                       tuple(i for i in subject if subject[i] in testing)), cold=True)


def by_list(annotations: Annotations, *, path: str | os.PathLike) -> Split:
  """A split from a JSON file `{"knowledge_source": [ids], "selection": [...], "testing": [...]}`.

  Without Knowledge-Source its list is empty, or left out.

  Raises:
    DataError: a missing list, an id that is not annotated, in two sets or twice, an empty set.
  """
  if not os.fspath(path):
    raise DataError("data.split.path is not set: add --config.data.split.path=FILE, a JSON object "
                    f"with the lists of ids {', '.join(Split._fields)}")
  content = plain(load_json(path))
  if isinstance(content, dict):
    content = {"knowledge_source": [], **content}
  for name in Split._fields:
    ids = content.get(name) if isinstance(content, dict) else None
    if not isinstance(ids, list) or not all(isinstance(i, str) for i in ids):
      raise DataError(f"{path} has no list of ids {name!r}. A split is a JSON object with the "
                      f"lists {', '.join(Split._fields)}.")
  split = Split(*(tuple(content[name]) for name in Split._fields))
  empty = [name for name in Split._fields[1:] if not getattr(split, name)]
  if empty:
    raise DataError(f"{path} leaves {' and '.join(empty)} empty: add ids to the list")
  unknown = [i for ids in split for i in ids if i not in annotations.videos]
  if unknown:
    raise DataError(f"{path}: {len(unknown)} id(s) are not annotated, e.g. "
                    f"{', '.join(unknown[:5])}.")
  return checked(split, cold=True)


def checked(split: Split, *, cold: bool = False) -> Split:
  """The split itself, if its sets are disjoint and none is empty, but Knowledge-Source if `cold`.

  Raises:
    DataError: otherwise.
  """
  repeated = [i for i, n in Counter(i for ids in split for i in ids).items() if n > 1]
  if repeated:
    raise DataError(f"the split is not disjoint: {len(repeated)} id(s) occur more than once, e.g. "
                    f"{', '.join(repeated[:5])}.")
  empty = [name for name, ids in zip(Split._fields, split, strict=True)
           if not ids and not (cold and name == "knowledge_source")]
  if empty:
    raise DataError(f"the split leaves {', '.join(empty)} empty: are the names of the subsets "
                    "(data.split.*_subset) those of the annotation file?")
  return split


def names(subset: Names) -> tuple[str, ...]:
  """One name or several as a tuple."""
  return (subset,) if isinstance(subset, str) else tuple(subset)
