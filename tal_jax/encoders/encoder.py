"""What a network is to the extraction of features from video."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import chex

from tal_jax.data.records import TimeGrid


class Encoder(NamedTuple):
  """A network with its weights, from pixels to one feature per window of frames.

  A frame is scaled so that its shorter side has `resize` pixels, and its centre is cut out.
  """

  name: str
  dim: int  # d of a feature
  apply: Callable[[Any, chex.Array], chex.Array]  # (params, [b, window, size, size, 3]) -> [b, d]
  params: Any  # pytree; the pixels are uint8 RGB, the features float32
  resize: int  # pixels
  size: int  # pixels
  grid: TimeGrid  # frames per second, stride and window that it is used with unless told otherwise
  min_window: int  # frames
  checksum: str  # SHA-256 of the weights' file
