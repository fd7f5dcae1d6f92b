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

Parsing holds Python's lock, so a second process reads the second half of a large file. It runs this
file as a program, which imports neither JAX nor the caller's main module, and needs no fork.
"""

from __future__ import annotations

import json
import os
import pathlib
import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
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


def open_plain(path: str | os.PathLike) -> BinaryIO:
  """The bytes of a file as they are."""
  return pathlib.Path(path).open("rb")


def read_columns(path: str | os.PathLike, piece_bytes: int = 2**18, parallel_bytes: int = 2**27,
                 open_file: Callable[[str | os.PathLike], BinaryIO] = open_plain
                 ) -> Columns | None:
  """The predictions of a file, or None if it has to be read by the exact reader.

  Args:
    path: file.
    piece_bytes: least size of a piece; a piece is one longer than that by at most a video.
    parallel_bytes: least size of a file that two processes read, if there are two cores.
    open_file: gives the file's text in UTF-8; another one than the default, which unpacks say,
      lets one process read it.

  Raises:
    OSError: a file that cannot be read, or another error of `open_file`'s.
  """
  if not os.path.isfile(path):  # a pipe can be read but once, and that is the exact reader's turn
    return None
  try:
    head = _head(path, piece_bytes, open_file)
    both = None
    if (open_file is open_plain and os.path.getsize(path) >= parallel_bytes
        and (os.cpu_count() or 1) > 1):
      both = _read_in_parallel(path, len(head), piece_bytes)
    columns, tail = both or _read_members(path, len(head), None, piece_bytes, open_file)
    _check_frame(head, tail)
  except (ValueError, RecursionError):  # msgspec's and json's errors are ValueErrors
    return None
  if (len(set(columns.video_ids)) < len(columns.video_ids)
      or not (np.isfinite(columns.segments).all() and np.isfinite(columns.scores).all())):
    return None
  return columns


def _read_in_parallel(path, begin: int, piece_bytes: int) -> tuple[Columns, bytes] | None:
  """All members and the tail; None if there is no place to cut, or a process cannot be had."""
  with pathlib.Path(path).open("rb") as file:
    half = file.seek(os.path.getsize(path) // 2)
    cut = _LIST_AND_COMMA.search(file.read(64 * piece_bytes))
  if cut is None or half < begin or not sys.executable:
    return None
  middle = half + cut.end()
  command = [sys.executable, __file__, os.fspath(path), str(middle), str(piece_bytes)]
  try:
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
  except OSError:
    return None
  with child:
    try:
      first, _ = _read_members(path, begin, middle, piece_bytes)
      second = pickle.load(child.stdout)
    except (EOFError, pickle.UnpicklingError):
      return None
    finally:
      child.kill()
  if second is None:
    raise ValueError("the second half is not made of well-formed members")
  return _joined(first, Columns(*second[0])), second[1]


def _joined(a: Columns, b: Columns) -> Columns:
  """The predictions of both, a's first."""
  index = {name: i for i, name in enumerate(dict.fromkeys(a.classes + b.classes))}
  places = np.asarray([index[name] for name in b.classes], np.int64)
  return Columns(a.video_ids + b.video_ids, np.concatenate([a.counts, b.counts]), tuple(index),
                 np.concatenate([a.label, places[b.label]]),
                 np.concatenate([a.segments, b.segments]), np.concatenate([a.scores, b.scores]))


def _read_members(path, begin: int, end: int | None, piece_bytes: int,
                  open_file=open_plain) -> tuple[Columns, bytes]:
  """The members in bytes [begin, end) of a file, at least one, and the tail if end is None.

  Raises:
    ValueError: these bytes are not made of well-formed members.
  """
  decode = msgspec.json.Decoder(dict[str, list[_Entry]]).decode
  encode = msgspec.msgpack.Encoder().encode
  video_ids, counts, index, arrays = [], [], {}, []
  tail = b""
  with open_file(path) as file:
    for piece, after in _pieces(file, begin, end, piece_bytes):
      tail = after
      videos = decode(piece)
      entries = list(chain.from_iterable(videos.values()))
      num_colons = np.count_nonzero(np.frombuffer(piece, np.uint8) == ord(":"))
      if num_colons != len(videos) + 3 * len(entries):
        raise ValueError("a repeated key, one more field, or a colon in a text")
      video_ids.extend(videos)
      counts.extend(map(len, videos.values()))
      arrays.append((_indices([entry.label for entry in entries], index),
                     _times([entry.segment for entry in entries], encode),
                     np.fromiter([entry.score for entry in entries], np.float64, len(entries))))
  label, segments, scores = map(np.concatenate, zip(*arrays, strict=True))
  return Columns(tuple(video_ids), np.asarray(counts, np.int64), tuple(index), label, segments,
                 scores), tail


def _head(path, num_bytes: int, open_file=open_plain) -> bytes:
  """The text before the first member; ValueError if it is longer than `num_bytes`."""
  with open_file(path) as file:
    text = file.read(num_bytes)
  start = _HEAD.search(text)
  if start is None:
    raise ValueError("no results near the start of the file")
  return text[:start.end()]


def _pieces(file: BinaryIO, begin: int, end: int | None,
            piece_bytes: int) -> Iterator[tuple[bytes, bytes]]:
  """JSON objects that together have the members in bytes [begin, end), each with the tail so far.

  Raises:
    ValueError: the bytes could not be cut.
  """
  left = sys.maxsize if end is None else end - begin
  file.seek(begin)
  rest = b""
  # Twice as much each time, so that a video of any size is read in linear time.
  while block := file.read(min(left, max(piece_bytes, len(rest)))):
    left -= len(block)
    rest += block
    done = 0
    while cut := _LIST_AND_COMMA.search(rest, done + piece_bytes):
      yield b"{%b}" % rest[done:cut.end() - 1], b""
      done = cut.end()
    rest = rest[done:]
  if end is None:
    last = _LAST_LIST.search(rest)
    if last is None:
      raise ValueError("no end of results")
    yield b"{%b}" % rest[:last.end()], rest[last.end():]
  elif rest:
    yield b"{%b}" % rest[:-1], b""  # without the comma


def _check_frame(head: bytes, tail: bytes) -> None:
  """ValueError unless what is between the two are the members of `results`."""
  def members(pairs):
    content = dict(pairs)
    if len(content) < len(pairs):
      raise ValueError("repeated key")
    return content

  frame = json.loads((head + b'"member": null' + tail).decode("utf-8-sig"),
                     object_pairs_hook=members)
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


if __name__ == "__main__":
  _path, _begin, _piece_bytes = sys.argv[1:]
  try:
    _columns, _tail = _read_members(_path, int(_begin), None, int(_piece_bytes))
    _result = tuple(_columns), _tail  # plain tuples: a main module's classes have other names
  except (ValueError, RecursionError):
    _result = None
  pickle.dump(_result, sys.stdout.buffer, protocol=5)
