"""A campaign with a model that reads rows: its pools, and suggestions from labelled detections."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from tal_jax.annotation.active import loop
from tal_jax.models.localizer import Detections
from tal_jax.pool import PROPOSALS, ROWS
from tests.annotation import campaigns
from tests.annotation.active import test_campaign_data
from tests.annotation.active.test_campaign_data import (
  ANNOTATIONS,
  INTENDED,
  OPTIONS,
  PROBES,
  features,
)

__all__ = ["features"]  # the fixture


def load(features, **options):
  return test_campaign_data.load(PROBES, INTENDED, ANNOTATIONS, features=features,
                                 **OPTIONS | options)


@pytest.mark.parametrize("reads", [(ROWS,), (PROPOSALS, ROWS)])
def test_selection_alone(features, reads):
  data = load(features, reads=reads)
  assert data.ids == ((), ("a", "b"), ()) and data.classes == ("jump", "run")
  pool = data.selection
  np.testing.assert_array_equal(pool.truth_labels, [[1, 1, -1, -1], [0, 0, 1, 1]])
  assert not pool.truth_mask.any()
  np.testing.assert_array_equal(pool.rows.count, [20, 20])
  np.testing.assert_array_equal(pool.rows.step, 1.0)
  np.testing.assert_allclose(pool.rows.mean, pool.rows.values[:40].mean(0), atol=1e-6)
  if PROPOSALS not in reads:
    assert pool.features.shape == (2, 1, 1) and (pool.segments[:, 0, 1] == 20.0).all()
  for empty in (data.testing, data.knowledge_source):
    assert empty.num_videos == empty.rows.num_videos == 0
    assert empty.dim == pool.dim and empty.rows.dim == pool.rows.dim


def test_testing_and_knowledge(features):
  data = load(features, reads=(ROWS,), testing_subset="test", knowledge_subset="known")
  assert data.ids == (("k0",), ("a", "b"), ("t0", "t2"))
  assert (data.testing.rows.num_videos, data.knowledge_source.rows.num_videos) == (2, 1)
  np.testing.assert_array_equal(data.testing.truth_labels[0], [1])
  both = load(features, reads=(PROPOSALS, ROWS), testing_subset="test", knowledge_subset="known")
  for a, b in zip(data.testing.rows, both.testing.rows, strict=True):
    np.testing.assert_array_equal(a, b)
  # Selection does not depend on the other sets.
  for a, b in zip(load(features, reads=(ROWS,)).selection.rows, data.selection.rows, strict=True):
    np.testing.assert_array_equal(a, b)
  assert load(features).selection.rows is None  # proposals are the default


def suggested(tmp_path, detections, *, classes=("jump", "run"), label="run"):
  made = campaigns.make(tmp_path / "c.db")
  campaigns.ask(made, videos=("v0", "v1"), label=label)
  loop.suggest(made, 0, ["v0", "v1"], {"v0": {label: None}, "v1": {label: None}}, classes,
               detections)
  found = [json.loads(row["body"]) for row in
           campaigns.select(made, "SELECT body FROM suggestions ORDER BY video_id")]
  made.store.close()
  return found


def test_labelled_detections_of_the_intended_class_alone(tmp_path):
  """Best first, whatever their order; another class, and what is masked, is left out."""
  scores = jnp.array([[0.25, 0.75, 0.5, 0.9], [0.5, 0.25, 0.0, 0.0]])
  detections = Detections(
      segments=jnp.arange(16.0).reshape(2, 4, 2), scores=scores, attention=scores, decisions=scores,
      mask=jnp.array([[True, True, True, False], [True, True, False, False]]),
      labels=jnp.array([[1, 0, 1, 1], [0, 0, 1, 1]]))
  assert suggested(tmp_path, detections) == [[[4, 5, 0.5], [0, 1, 0.25]], []]


def test_both_forms_say_the_same(tmp_path):
  """A score for each class, or a class for each segment."""
  rng = np.random.default_rng(0)
  segments = np.sort(rng.uniform(0, 90, (2, 6, 2)), -1).astype(np.float32)
  mask, scores = rng.random((2, 6)) < 0.7, rng.random((2, 6)).astype(np.float32)
  labelled = Detections(segments, scores, scores, mask, scores, np.ones((2, 6), np.int32))
  dense = labelled._replace(scores=np.stack([1 - scores, scores], -1), labels=None)
  for name in ("a", "b"):
    (tmp_path / name).mkdir()
  found = suggested(tmp_path / "a", labelled)
  assert found == suggested(tmp_path / "b", dense)
  assert [len(body) for body in found] == mask.sum(1).tolist()
