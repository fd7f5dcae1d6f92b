"""Reads well-formed predictions piece by piece, in little memory, at the speed of a parser.

A file is a text `head members tail`, `members` those of the object `results`. They are cut at
commas into pieces of about 256 KiB. If `{piece}` is a JSON object for every piece, and
`head member tail` is a JSON object in which `results` has that one member, then the whole file is
JSON with these members, wherever the cuts fell: one inside a string or an entry leaves a piece that
is no JSON. So every layout is read properly and nothing is guessed. What is not accepted here gives
None, and the caller reads that file with its slower, exact reader, which also names the faults.

Repeated keys, which parsers overlook, are found by counting colons: there are at least as many as
keys, so a piece with just as many as its entries need (three each, and one a video) repeats none.
Entries with more fields, or with a colon in a text, are left to the exact reader for that reason.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO, NamedTuple

import msgspec
import numpy as np

_HEAD = re.compile(rb'"results"\s*:\s*\{')
_LIST_AND_COMMA = re.compile(rb"\}\s*\]\s*,")  # of `"id": [..., {...}], "id": [...`
_LAST_LIST = re.compile(rb"(?:\}|\[)\s*\](?=\s*\})")  # of `"id": [..., {...}]}`
_PACKED = np.dtype([("array", "u1"), ("float", "u1"), ("start", ">f8"), ("float_", "u1"),
                    ("end", ">f8")])  # [start, end] in MessagePack


class _Segment(msgspec.Struct, array_like=True, forbid_unknown_fields=True, gc=False):
  """[start, end]: faster than a tuple, which the garbage collector looks at."""

  start: float
  end: float


class _Entry(msgspec.Struct, gc=False):
  """A prediction. Integers are read as floats; true, null and texts are not numbers."""

  label: str
  score: float
  segment: _Segment


class Columns(NamedTuple):
  """m predictions of v videos, in file order."""

  video_ids: tuple[str, ...]  # [v] distinct
  counts: np.ndarray  # [v] int64 predictions of each
  classes: tuple[str, ...]  # in order of appearance
  label: np.ndarray  # [m] int64, index into `classes`
  segments: np.ndarray  # [m, 2] float64, finite
  scores: np.ndarray  # [m] float64, finite


def read_columns(path: str | os.PathLike, piece_bytes: int = 2**18) -> Columns | None:
  """The predictions of a file, or None if it has to be read by the exact reader.

  Args:
    path: file.
    piece_bytes: least size of a piece; a piece is one longer than that by at most a video. Small
      ones stay in the processor's cache with the objects made of them.

  Raises:
    OSError: a file that cannot be read.
  """
  if not os.path.isfile(path):  # a pipe can be read but once, and that is the exact reader's turn
    return None
  decode = msgspec.json.Decoder(dict[str, list[_Entry]]).decode
  encode = msgspec.msgpack.Encoder().encode
  video_ids, counts, index, arrays = [], [], {}, []
  try:
    with pathlib.Path(path).open("rb") as file:
      for piece in _pieces(file, piece_bytes):
        videos = decode(piece)
        entries = list(chain.from_iterable(videos.values()))
        num_colons = np.count_nonzero(np.frombuffer(piece, np.uint8) == ord(":"))
        if num_colons != len(videos) + 3 * len(entries):
          return None
        video_ids.extend(videos)
        counts.extend(map(len, videos.values()))
        arrays.append((_indices([entry.label for entry in entries], index),
                       _times([entry.segment for entry in entries], encode),
                       np.fromiter([entry.score for entry in entries], np.float64, len(entries))))
  except (ValueError, RecursionError):  # msgspec's and json's errors are ValueErrors
    return None
  label, segments, scores = map(np.concatenate, zip(*arrays, strict=True))
  if (len(set(video_ids)) < len(video_ids)
      or not (np.isfinite(segments).all() and np.isfinite(scores).all())):
    return None
  return Columns(tuple(video_ids), np.asarray(counts, np.int64), tuple(index), label, segments,
                 scores)


def _pieces(file: BinaryIO, piece_bytes: int) -> Iterator[bytes]:
  """JSON objects that together have the members of `results`, at least one.

  Raises:
    ValueError: the file could not be cut, or is not JSON around `results`.
  """
  rest = file.read(piece_bytes)
  start = _HEAD.search(rest)
  if start is None:
    raise ValueError("no results near the start of the file")
  head, rest = rest[:start.end()], rest[start.end():]
  # Twice as much each time, so that a video of any size is read in linear time.
  while block := file.read(max(piece_bytes, len(rest))):
    rest += block
    done = 0
    while cut := _LIST_AND_COMMA.search(rest, done + piece_bytes):
      yield b"{%b}" % rest[done:cut.end() - 1]
      done = cut.end()
    rest = rest[done:]
  last = _LAST_LIST.search(rest)
  if last is None:
    raise ValueError("no end of results")
  _check_frame(head, rest[last.end():])
  yield b"{%b}" % rest[:last.end()]


def _check_frame(head: bytes, tail: bytes) -> None:
  """ValueError unless what stands between the two are the members of `results`."""
  def members(pairs):
    content = dict(pairs)
    if len(content) < len(pairs):
      raise ValueError("repeated key")
    return content

  frame = json.loads((head + b'"member": null' + tail).decode("utf-8"), object_pairs_hook=members)
  if not isinstance(frame, dict) or frame.get("results") != {"member": None}:
    raise ValueError("results is not at the top level")


def _indices(labels: list[str], index: dict[str, int]) -> np.ndarray:
  """[n] the place of every label in `index`, to which new ones are added."""
  try:
    return np.fromiter(map(index.__getitem__, labels), np.int64, len(labels))
  except KeyError:
    for label in dict.fromkeys(labels):
      index.setdefault(label, len(index))
    return np.fromiter(map(index.__getitem__, labels), np.int64, len(labels))


def _times(segments: list[_Segment], encode) -> np.ndarray:
  """[n, 2] float64. In MessagePack all segments have one size, so that NumPy can read them.

  That takes half as long as NumPy's way through 2 n Python floats.
  """
  packed = encode(segments)
  header = len(packed) - _PACKED.itemsize * len(segments)  # 1 to 5 bytes: their number
  records = np.frombuffer(packed, _PACKED, offset=header)
  return np.stack([records["start"], records["end"]], axis=1).astype(np.float64)
