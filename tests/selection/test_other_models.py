"""The selection functions with other models than the paper's: those with an attention, and none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tal_jax import learner
from tal_jax.models import platt, stage_wise
from tal_jax.models.stage_wise.two_stage import Settings, TwoStage
from tal_jax.selection import SELECTION, lal, lal_selector, mcle, uncertainty
from tests import pools

pytestmark = pytest.mark.slow

MODEL = TwoStage(Settings(num_kept=6, num_picks=3))


@pytest.fixture(scope="module")
def two(pool):
  return pools.started(pool, localizer=MODEL)


class NoAttention:
  """As a model of rows."""


@pytest.mark.parametrize("name", sorted(SELECTION))
def test_each_selects(name, selects, two, pool):
  picks = [np.asarray(selects[name](jax.random.key(3), two, pool, batch_size=5))
           for _ in range(2)]
  assert picks[0].shape == (5,) and len(set(picks[0].tolist())) == 5
  assert not np.asarray(two.labeled)[picks[0]].any()
  np.testing.assert_array_equal(*picks)


@pytest.mark.parametrize("name", sorted(SELECTION))
def test_before_any_label_each_selects(name, selects, pool):
  first = learner.init(jax.random.key(0), pool, num_classes=pools.NUM_CLASSES, localizer=MODEL)
  picks = np.asarray(selects[name](jax.random.key(3), first, pool, batch_size=16))
  assert sorted(picks.tolist()) == list(range(16))


def test_the_attention_is_the_first_stages(two, pool):
  """Its decisions are those of its linear function; its Platt is of the rows trained on."""
  svm, calibration = learner.attention(two)
  decisions = learner.decisions(two, pool)
  expected = np.float64(pool.features) @ np.float64(svm.w) + float(svm.b)
  np.testing.assert_allclose(decisions, np.where(pool.proposal_mask, expected, -np.inf), atol=1e-4)
  np.testing.assert_allclose(MODEL.decisions(two.model, pool, None), decisions, atol=1e-4)
  annotated = pool._replace(truths=two.annotations, truth_mask=two.annotation_mask)
  settings = learner.attention_settings(two)
  y, _ = stage_wise.attention_labels(annotated, settings)
  rows = np.asarray(pool.proposal_mask & two.labeled[:, None])
  wanted = platt.fit(jnp.asarray(expected[rows], jnp.float32), jnp.asarray(np.asarray(y)[rows]))
  np.testing.assert_allclose(jnp.stack(calibration), jnp.stack(wanted), rtol=1e-2, atol=1e-3)
  assert settings.top_k == 3 and settings.svm_c == MODEL.settings.svm_c
  # The scores that LAL and MCLE rank by are of it.
  h = platt.probability(calibration, jnp.asarray(expected, jnp.float32))
  samples = uncertainty.histogram(h, pool.proposal_mask, num_bins=10)
  selector = pools.selector()
  np.testing.assert_allclose(lal.scores(selector, two, pool), lal_selector.predict(
      selector, lal_selector.describe_state(svm), samples), rtol=1e-4)
  indices, kept = stage_wise.attend(decisions, pool, settings)
  mean = [expected[i][np.asarray(indices[i])][np.asarray(kept[i])].mean() for i in range(16)]
  values = mcle.video_values(two, pool, jnp.zeros(decisions.shape))
  np.testing.assert_allclose(values.model, mean, atol=1e-4)


@pytest.mark.parametrize(
    "name", sorted(name for name in SELECTION if SELECTION[name].reads_attention))
def test_a_model_without_attention_is_named(name, selects, two, pool):
  with pytest.raises(TypeError, match="NoAttention has no attention"):
    selects[name](jax.random.key(0), two.replace(localizer=NoAttention()), pool, batch_size=2)
