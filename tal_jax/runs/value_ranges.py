"""The check of a config's values against what each may be."""

from __future__ import annotations

import functools
from collections.abc import Iterable

from ml_collections import ConfigDict

from tal_jax.errors import DataError


def check(config: ConfigDict, ranges: Iterable[tuple[str, bool, str]], *,
          section: str = "") -> None:
  """Raises a DataError for the first setting that is out of its range.

  Args:
    config: a config, or a section of one.
    ranges: (name, whether the value is good, what it must be); a name may have dots.
    section: the section's own name, for the message.
  """
  for name, good, wanted in ranges:
    if not good:
      value = functools.reduce(lambda part, key: part[key], name.split("."), config)
      full = f"{section}.{name}" if section else name
      raise DataError(f"{full} = {value!r}: it must be {wanted}")
