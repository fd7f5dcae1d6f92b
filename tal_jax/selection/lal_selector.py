"""LAL's regressor: what a video would gain if it were labelled, by the state of the model.

Notation: w: [d + 1] the attention SVM (weights and bias), the model's state; x: [v, bins] histogram
of a video's confidences, the sample; g(w, x): predicted gain in attention AP.

    g(w, x) = sum_j a_j exp(-g_w |z(w) - z_j|^2) exp(-g_x |u(x) - u_j|^2) + a_0

z is a standardised PCA of w, u a standardised x. The kernel is a product since a linear one, or a
sum, is blind to the state: at one step w is the same for every candidate, and its term would never
change their order.

Source: the paper, Sec. 3.2; Konyushkova et al. (NIPS 2017). The paper uses Support Vector
Regression and gives neither kernel nor settings.
"""

from __future__ import annotations

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from tal_jax.models import platt, svm
from tal_jax.pool import VideoPool
from tal_jax.selection.uncertainty import histogram


class Selector(NamedTuple):
  """The fitted regressor g; s support vectors, q principal components."""

  state_mean: chex.Array  # [d + 1]
  state_components: chex.Array  # [q, d + 1], scaled: z = components (w - mean)
  sample_mean: chex.Array  # [bins]
  sample_scale: chex.Array  # [bins]
  support_states: chex.Array  # [s, q]
  support_samples: chex.Array  # [s, bins]
  coefficients: chex.Array  # [s]
  intercept: chex.Array  # []
  gamma_state: chex.Array  # []
  gamma_sample: chex.Array  # []
  target_mean: chex.Array  # [] AP
  target_scale: chex.Array  # [] AP


def describe_state(params: svm.SvmParams) -> chex.Array:
  """The state of the model: [d + 1]."""
  return jnp.append(params.w, params.b)


def describe_samples(params: svm.SvmParams, calibration: platt.PlattParams, pool: VideoPool, *,
                     num_bins: int) -> chex.Array:
  """Histograms of the confidences of every video's proposals: [v, bins]."""
  confidence = platt.probability(calibration, svm.decision(params, pool.features))
  return histogram(confidence, pool.proposal_mask, num_bins=num_bins)


def product_kernel(z: np.ndarray, u: np.ndarray, support_z: np.ndarray, support_u: np.ndarray,
                   gamma_state: float, gamma_sample: float) -> np.ndarray:
  """exp(-g_w |z - z_j|^2) exp(-g_x |u - u_j|^2): [n, q], [n, bins] -> [n, s].

  On the host, for the fit, whose sizes change with every fold; `predict` is the same on the device.
  """

  def squared_distance(a, b):
    squares = (a**2).sum(-1)[:, None] + (b**2).sum(-1) - 2.0 * a @ b.T
    return np.maximum(squares, 0.0)

  return np.exp(-gamma_state * squared_distance(z, support_z)
                - gamma_sample * squared_distance(u, support_u))


@jax.jit
def predict(selector: Selector, state: chex.Array, samples: chex.Array) -> chex.Array:
  """Predicted gain of every sample at one state: [d + 1], [v, bins] -> [v], in AP."""
  # The state's factor is one number per support vector: one matrix-vector product for the pool.
  z = selector.state_components @ (state - selector.state_mean)
  near = jnp.exp(-selector.gamma_state * ((selector.support_states - z)**2).sum(-1))
  u = (samples - selector.sample_mean) / selector.sample_scale
  u2, s2 = (u**2).sum(-1), (selector.support_samples**2).sum(-1)
  cross = jnp.matmul(u, selector.support_samples.T, precision=jax.lax.Precision.HIGHEST)
  kernel = jnp.exp(-selector.gamma_sample * jnp.maximum(u2[:, None] + s2 - 2.0 * cross, 0.0))
  standard = kernel @ (near * selector.coefficients) + selector.intercept
  return standard * selector.target_scale + selector.target_mean
