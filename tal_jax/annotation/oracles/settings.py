"""Settings of an oracle, checked once when it is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from tal_jax.errors import DataError


class Settings(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
  """What every oracle has: someone must be able to watch the campaign and to adjudicate."""

  address: str = "http://127.0.0.1:8000"  # under which people reach the server
  operators: tuple[str, ...] = ("operator",)  # names
  days: float = 90.0  # for how long a link is good


T = TypeVar("T", bound=Settings)


def read(kind: type[T], settings: Mapping[str, Any], oracle: str) -> T:
  """The settings as `kind`. Raises DataError: an unknown name, or a value of another type."""
  try:
    made = msgspec.convert(dict(settings), kind, strict=True)
  except msgspec.ValidationError as error:
    raise DataError(f"oracle {oracle}: {error}; its settings are "
                    f"{', '.join(sorted(kind.__struct_fields__))}") from error
  if not made.days > 0:
    raise DataError(f"oracle {oracle}: days is {made.days}: a link must be good for a while")
  if not made.operators:
    raise DataError(f"oracle {oracle}: operators is empty: somebody must watch the campaign, and "
                    "decide where annotators differ")
  if not made.address.startswith(("http://", "https://")):
    raise DataError(f"oracle {oracle}: address is {made.address!r}: it begins with http:// or "
                    "https://")
  return made


def require_share(oracle: str, **shares: float) -> None:
  """Raises DataError unless all are in [0, 1]."""
  for name, value in shares.items():
    if not 0 <= value <= 1:
      raise DataError(f"oracle {oracle}: {name} is {value}: it must be between 0 and 1")
