"""What a run refuses before it learns, and after a training; and what it tells of one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import jax
import numpy as np
from ml_collections import ConfigDict

from tal_jax import devices, learner
from tal_jax.data.dataset import Dataset
from tal_jax.errors import DataError
from tal_jax.models.localizer import FitInfo, Params, statement
from tal_jax.pool import VideoPool
from tal_jax.runs import localizers

_LEARNT = ("selection", "testing")  # the sets whose truths a learning curve needs


def check_knowledge_source(config: ConfigDict, data: Dataset, learners: Sequence[str], *,
                           instead: str = ", or choose other strategies") -> None:
  """DataError for strategies that learn from Knowledge-Source where the split has none.

  Args:
    config: has the split.
    data: of that split.
    learners: names of the strategies.
    instead: what can be done other than to take another split.
  """
  if not learners or data.ids.knowledge_source:
    return
  kind = config.data.get("split", {}).get("kind", "")
  split = f"data.split.kind = {kind!r}" if kind else f"data.source = {config.data.source!r}"
  raise DataError(
      f"{' and '.join(learners)} {'learns' if len(learners) == 1 else 'learn'} from "
      f"Knowledge-Source, and {split} leaves it without a video: take a split that has one "
      f"(configs/files.py:class or :subject, or :list with ids in knowledge_source){instead}")


def check_truths(data: Dataset, sets: Sequence[str] = _LEARNT) -> None:
  """DataError where nothing can be learnt, or nothing be measured.

  Args:
    data: with the pools on the host.
    sets: names of the sets that must have an instance; of Selection and Testing, one of a class
      that the other has too.
  """
  classes = {}
  for name in sets:
    pool = getattr(data, name)
    classes[name] = set(np.unique(np.asarray(pool.truth_labels)[np.asarray(pool.truth_mask)]))
    if not classes[name]:
      title = name.replace("_", "-").title()
      raise DataError(
          f"{title}: none of its {pool.num_videos} videos has an instance in the annotations, so "
          f"there is nothing to {'measure' if name == 'testing' else 'learn'}: are their truths "
          "missing, empty (end <= start), or in another split? experiments.check_data lists them")
  if set(sets) >= set(_LEARNT) and not classes["selection"] & classes["testing"]:
    names = {name: ", ".join(data.classes[i] for i in sorted(classes[name])[:3])
             for name in _LEARNT}
    raise DataError(f"Selection and Testing have no class in common: Selection has "
                    f"{names['selection']}, Testing {names['testing']}: draw another split, or "
                    "spell the classes alike")


def check_training(config: ConfigDict, model: str, params: Params, fit: FitInfo, data: Dataset, *,
                   when: str, after: str = "") -> None:
  """DataError if a model's parameters, or what its training measured, are not finite numbers.

  Args:
    config: has the model's settings.
    model: its name.
    params: after the training.
    fit: of the training.
    data: whose Selection it was trained on.
    when: of the run, e.g. "seed 0, 8 labels".
    after: what whoever runs it should know beside, a sentence.
  """
  measured = {name: value for name, value in fit.metrics.items()
              if isinstance(value, float) and not math.isfinite(value)}
  if not measured and _is_finite(devices.to_host(params)):
    return
  chosen = fit.metrics.get("model", model)
  named = repr(model) + (f" ({chosen})" if chosen != model else "")
  found = "".join(f" ({name} = {value})" for name, value in measured.items())
  raise DataError(f"{when}: the training of the model {named} ended in numbers that are not "
                  f"finite{found}: {_cause(config, chosen, data)}{after and '. ' + after}")


def remarks(state: learner.LearnerState, fit: FitInfo) -> list[str]:
  """What to tell whoever runs the learner of a round, a line each; every process calls it."""
  lines = []
  if not devices.to_host(state.annotation_mask).any():
    lines.append(f"none of the {int(state.labeled.sum())} labelled videos has an instance: there "
                 "is nothing to learn from yet")
  return lines + [line for line in (statement(fit),) if line]


def _is_finite(tree) -> bool:
  return all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)
             if np.issubdtype(leaf.dtype, np.floating))


def _cause(config: ConfigDict, model: str, data: Dataset) -> str:
  """The likely reason; goes through Selection's features."""
  faulty, largest = [], (0.0, "")
  for i, video_id in enumerate(data.ids.selection):
    values = _features(data.selection, i, proposals=model in localizers.ATTENDING)
    if not np.isfinite(values).all():
      faulty.append(video_id)
    elif values.size:
      largest = max(largest, (float(np.abs(values).max()), video_id))
  if faulty:
    more = f" (and {len(faulty) - 1} more videos)" if len(faulty) > 1 else ""
    return (f"{faulty[0]}{more} has features that are NaN or infinite: extract them again, or "
            "take the video out of the split")
  if model not in localizers.ATTENDING:
    return (f"the features are finite, so the training itself went astray: lower "
            f"{model}.learning_rate, which is {config[model].learning_rate:g}")
  return (f"the features are finite, the largest value is {largest[0]:g} ({largest[1]}): scale "
          "them, with data.normalize=standardize for instance")


def _features(pool: VideoPool, video: int, *, proposals: bool) -> np.ndarray:
  """What a model reads of a video, as float32."""
  if proposals:
    return devices.to_host(pool.features[video]).astype(np.float32)
  first, count = (int(devices.to_host(leaf)[video])
                  for leaf in (pool.rows.first, pool.rows.count))
  return devices.to_host(pool.rows.values[first:first + count]).astype(np.float32)
