"""Zero-shot priors w0 of actionness for MCLE.

    "search":           simulated video search: results for class names, noisy and without bounds
    "knowledge_source": the attention module of the Knowledge-Source videos

Source: the paper, Sec. 3.2: "a Video Search zero-shot learning approach, which uses top results
from YouTube search as positive samples". Search results of 2018 cannot be had; they are simulated
from videos that belong neither to Selection nor to Testing. Which background they are set against
is not in the paper: here the background proposals of Knowledge-Source, whose bounds are known.
"""

from __future__ import annotations

import chex
import jax
import jax.numpy as jnp
import numpy as np

from tal_jax.data.dataset import Dataset
from tal_jax.data.records import SearchResults
from tal_jax.errors import DataError
from tal_jax.models import stage_wise, svm
from tal_jax.models.svm import pool as svm_pool
from tal_jax.pool import VideoPool, without_features

PRIORS = ("search", "knowledge_source")
_BACKGROUND_TIOU = 0.1  # proposals below it, with every truth, are background


def fit(key: chex.PRNGKey, data: Dataset, settings: stage_wise.Settings, *, prior: str,
        precision: float, results_per_class: int) -> svm.SvmParams:
  """The prior by the options of `config.mcle`: `prior` is one of `PRIORS`.

  Raises:
    DataError: no videos to search in, or no result.
  """
  if prior == "knowledge_source":
    return from_knowledge_source(data.knowledge_source, settings)
  return from_search(key, data.search, data.knowledge_source, settings,
                     num_classes=len(data.classes), results_per_class=results_per_class,
                     precision=precision)


def from_knowledge_source(knowledge_source: VideoPool,
                          settings: stage_wise.Settings) -> svm.SvmParams:
  """The SVM of the attention module, trained on Knowledge-Source."""
  y, _ = stage_wise.attention_labels(without_features(knowledge_source), settings)
  return _fit(knowledge_source.features, y, knowledge_source.proposal_mask, settings)


def draw_search_results(key: chex.PRNGKey, search: SearchResults, *, num_classes: int,
                        results_per_class: int, precision: float) -> np.ndarray:
  """Indices of the videos that a search returns, over all classes, without duplicates.

  For each class, each of the results is of that class with probability `precision`, else a
  distractor: a video of no class if there is one, or of another class. Where the videos run out,
  there are fewer results; the others do not take their place.
  """
  rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
  found = []
  for label in range(num_classes):
    right = np.flatnonzero(search.labels == label)
    none = np.flatnonzero(search.labels == -1)
    wrong = none if len(none) else np.flatnonzero(search.labels != label)
    wanted = rng.binomial(results_per_class, precision)
    found += [rng.choice(right, min(wanted, len(right)), replace=False),
              rng.choice(wrong, min(results_per_class - wanted, len(wrong)), replace=False)]
  return np.unique(np.concatenate(found))


def from_search(key: chex.PRNGKey, search: SearchResults | None, knowledge_source: VideoPool,
                settings: stage_wise.Settings, *, num_classes: int, results_per_class: int,
                precision: float) -> svm.SvmParams:
  """A linear SVM of search results (whole videos) against background proposals.

  Args:
    key: of the draw of results.
    search: candidates, or None where the source has no such videos.
    knowledge_source: labelled videos that give the background.
    settings: SVM hyper-parameters.
    num_classes: classes searched for.
    results_per_class: results taken per class.
    precision: share of results that really show the class, in [0, 1].

  Raises:
    DataError: no videos to search in, or no result.
  """
  if search is None or not len(search.labels):
    raise DataError(
        "mcle.prior='search': this data set has no videos, outside Selection and Testing, of "
        "their classes. Use --config.mcle.prior=knowledge_source, or a split by subject or list.")
  results = draw_search_results(key, search, num_classes=num_classes,
                                results_per_class=results_per_class, precision=precision)
  if not len(results):
    raise DataError("mcle.prior='search': the search returned nothing. Raise "
                    "mcle.results_per_class or the number of search videos of the data source.")
  _, overlaps = stage_wise.attention_labels(without_features(knowledge_source), settings)
  background = (overlaps.max(-1) < _BACKGROUND_TIOU) & knowledge_source.proposal_mask
  found = jnp.asarray(search.features[results]).astype(knowledge_source.features.dtype)
  num_rows = background.shape[1]
  pad = -len(results) % num_rows  # the results stand in rows of videos of their own
  found = jnp.pad(found, ((0, pad), (0, 0))).reshape(-1, num_rows, knowledge_source.dim)
  real = (jnp.arange(len(results) + pad) < len(results)).reshape(-1, num_rows)
  y = jnp.concatenate([jnp.ones(real.shape), -jnp.ones(background.shape)])
  return _fit(jnp.concatenate([found, jnp.asarray(knowledge_source.features)]), y,
              jnp.concatenate([real, background]), settings)


def _fit(features: chex.Array, y: chex.Array, real: chex.Array,
         settings: stage_wise.Settings) -> svm.SvmParams:
  return svm_pool.fit(features, y, real, real, c=settings.svm_c, loss=settings.svm_loss,
                      tol=settings.svm_tol, memory=svm_pool.empty_memory(*real.shape,
                                                                         features.shape[-1]))[0]
