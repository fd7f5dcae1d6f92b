"""Losses of the point detector.

Source: focal loss, Lin et al. (ICCV 2017); distance IoU, Zheng et al. (AAAI 2020), for segments as
in ActionFormer.
"""

from __future__ import annotations

import chex
import jax
import jax.numpy as jnp

_EPSILON = 1e-8


def focal(logits: chex.Array, targets: chex.Array, *, alpha: float = 0.25) -> chex.Array:
  """-alpha_t (1 - p_t)^2 log p_t, elementwise, of a sigmoid."""
  p = jax.nn.sigmoid(logits)
  entropy = jax.nn.softplus(logits) - targets * logits
  miss = p + targets - 2.0 * p * targets  # 1 - p_t
  return (alpha * targets + (1.0 - alpha) * (1.0 - targets)) * miss**2 * entropy


def distance_iou(offsets: chex.Array, targets: chex.Array) -> chex.Array:
  """1 - IoU + (distance of centres / length of the hull)^2: [..., 2], [..., 2] -> [...].

  Args:
    offsets: ways from a point to start and end, not negative.
    targets: the same, of the truth; the point lies inside it.
  """
  intersection = jnp.minimum(offsets, targets).sum(-1)
  union = offsets.sum(-1) + targets.sum(-1) - intersection
  hull = jnp.maximum(offsets, targets).sum(-1)
  apart = 0.5 * ((offsets[..., 1] - offsets[..., 0]) - (targets[..., 1] - targets[..., 0]))
  return (1.0 - intersection / jnp.maximum(union, _EPSILON)
          + (apart / jnp.maximum(hull, _EPSILON))**2)
