"""What a file format is, and what it is recognised by."""

from __future__ import annotations

import mmap
import pathlib
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tal_jax.data.records import StructuralFault
from tal_jax.data.text.text_file import read_text


class Probe(NamedTuple):
  """What `detect` looks at: cheap, whatever the size of the data."""

  path: pathlib.Path
  text: str  # the beginning of a text file, lines ending with "\n", else ""
  names: tuple[str, ...]  # the entries of a folder, sorted, hidden ones left out
  whole: bool = True  # whether `text` is all of the file
  plain: bool = True  # whether the file's bytes are the text in UTF-8

  @property
  def suffix(self) -> str:
    return self.path.suffix.lower()

  def files(self, *suffixes: str) -> list[pathlib.Path]:
    """The entries of a folder that end so."""
    return [self.path / name for name in self.names if name.lower().endswith(suffixes)]

  def search(self, pattern: str) -> bool:
    """Whether the text, all of it, has a match."""
    if re.search(pattern, self.text):
      return True
    if not self.text or self.whole:
      return False
    if not self.plain or not self.path.is_file():
      return re.search(pattern, read_text(self.path)) is not None
    with (open(self.path, "rb") as file,
          mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content):
      return re.search(pattern.encode(), content) is not None


class Format(NamedTuple):
  """A way in which one kind of data is kept on disk."""

  name: str
  kind: str  # one of KINDS
  looks: str  # in a line, for messages
  detect: Callable[[Probe], str | None]  # the sign by which a path is recognised
  read: Callable[..., tuple[Any, Sequence[StructuralFault]]]  # (path, **options)
  options: tuple[str, ...] = ()  # that `read` takes
  write: Callable[..., None] | None = None  # (path, value, **options)
  fields: tuple[str, ...] = ()  # columns or keys that it needs, to name the nearest format
