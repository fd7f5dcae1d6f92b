"""What the stage-wise models have beside the interface of `localizer`: an attention."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import chex

from tal_jax.models import stage_wise
from tal_jax.models.localizer import Params
from tal_jax.pool import VideoPool


@runtime_checkable
class Attending(Protocol):
  """A localisation model with the paper's attention, which some selection functions read."""

  def attention(self, params: Params) -> stage_wise.Attention:
    """The linear function of a proposal's features that the attention is."""

  @property
  def attention_settings(self) -> stage_wise.Settings:
    """How an attention is trained, and picks: what retraining it with another video needs."""

  def decisions(self, params: Params, pool: VideoPool, memory: Any) -> chex.Array:
    """Its value of every proposal: [v, p]; -inf where padded. `memory` as in `confidences`."""
