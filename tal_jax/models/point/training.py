"""The point detector's loss of a batch, as `networks.training` wants it."""

from __future__ import annotations

from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp

from tal_jax.models.networks.labeled_rows import Batch
from tal_jax.models.point import levels as levels_lib, losses
from tal_jax.models.point.assignment import assign
from tal_jax.models.point.network import Network

_MOMENTUM = 0.9


class Loss(NamedTuple):
  """Focal + distance-IoU loss over a moving average of the number of positive points.

  The average begins with the first batch's number; 0 stands for "no batch yet". Hashable, so that
  a program is compiled once for each network and length.
  """

  network: Network

  def __call__(self, params: Any, key: chex.PRNGKey, batch: Batch,
               normaliser: chex.Array) -> tuple[chex.Array, chex.Array]:
    net = self.network
    points = levels_lib.points(net.levels, batch.x.shape[1])
    said = net.apply({"params": params}, batch.x, batch.mask, train=True, rngs={"dropout": key})
    targets = jax.vmap(lambda *video: assign(points, *video, num_classes=net.num_classes))(
        batch.truths, batch.labels, batch.truth_mask)
    positive = targets.positive & said.mask
    count = positive.sum().astype(jnp.float32)
    normaliser = jnp.where(normaliser > 0, _MOMENTUM * normaliser + (1.0 - _MOMENTUM) * count,
                           count)
    normaliser = jnp.maximum(normaliser, 1.0)
    classes = losses.focal(said.logits, targets.classes) * said.mask[..., None]
    bounds = jnp.where(positive, losses.distance_iou(said.offsets, targets.offsets), 0.0)
    return (classes.sum() + bounds.sum()) / normaliser, normaliser
