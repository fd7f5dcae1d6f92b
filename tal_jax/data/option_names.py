"""How the command that runs spells the options of the readers, for the readers' messages.

A config has `data.video_info`, another command the flag `--video_info`, a third one has no such
option. A message may name only what the command takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

_SPELLING: ContextVar[Mapping[str, str] | str] = ContextVar("spelling", default="data.")


def option(name: str) -> str | None:
  """An option as the command spells it, None if it has none; by default `data.NAME`."""
  spelling = _SPELLING.get()
  return spelling + name if isinstance(spelling, str) else spelling.get(name)


def advice(name: str, text: str) -> str:
  """`text` with the option in place of {}, after a blank; "" if the command does not have it."""
  spelled = option(name)
  return "" if spelled is None else " " + text.format(spelled)


@contextmanager
def spelled(names: Mapping[str, str] | str) -> Iterator[None]:
  """Within it options are spelled as `names` has them; a text is a prefix for all of them."""
  token = _SPELLING.set(names)
  try:
    yield
  finally:
    _SPELLING.reset(token)
