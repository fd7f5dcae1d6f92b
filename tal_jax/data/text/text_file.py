"""Text files, whoever wrote them: every reader of text opens them here.

Files packed by gzip, bzip2 or xz are unpacked. The text may be UTF-8, UTF-16 or UTF-32, with a
byte-order mark or without; line ends of any system become "\\n". Everything else is refused by what
it is, with the way out. A pipe, which gives its content but once, may be read as often as a file.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import pathlib
import stat
import zlib
from typing import BinaryIO, NamedTuple

from tal_jax.errors import DataError

UNPACKING_ERRORS = (EOFError, OSError, zlib.error, lzma.LZMAError)
_START = 4096  # bytes that tell what a file is
_PACKED = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
# What other files begin with, and what to do about them.
_CSV = "save its table as CSV UTF-8"
_JSON = "convert it to JSON or csv first"
_OTHERS = {
    b"\x28\xb5\x2f\xfd": ("packed by zstd", "unpack it (zstd -d)"),
    b"\x04\x22\x4d\x18": ("packed by lz4", "unpack it (lz4 -d)"),
    b"\x1f\x9d": ("packed by compress", "unpack it (uncompress)"),
    b"7z\xbc\xaf\x27\x1c": ("a 7z archive", "unpack it"),
    b"Rar!": ("a rar archive", "unpack it"),
    b"\xd0\xcf\x11\xe0": ("an Excel or Word file of the old kind", _CSV),
    b"\x89HDF": ("an HDF5 file (or a MATLAB file of version 7.3)", _JSON),
    b"MATLAB 5.0": ("a MATLAB file", "convert it to JSON or csv first (scipy.io.loadmat reads it)"),
    b"\x93NUMPY": ("a NumPy array", _JSON),
    b"SQLite format 3": ("an SQLite database", _JSON),
    b"PAR1": ("a Parquet file", _JSON),
    b"ARROW1": ("a Feather (Arrow) file", _JSON),
    b"FEA1": ("a Feather file", _JSON),
    b"%PDF": ("a PDF", "save its table as text"),
}
_ZIP, _ZIP_REMEDY = b"PK\x03\x04", "unpack it"
_TAR = (257, b"ustar")  # where, what
_PIPES: dict[tuple[int, int, int], bytes] = {}  # by device, inode and time of the last write


class Head(NamedTuple):
  """The beginning of a text file."""

  text: str  # "" if it is no text
  whole: bool  # whether that is all of the file
  plain: bool  # whether the file's bytes are the text in UTF-8


def read_text(path: str | os.PathLike) -> str:
  """All of a text file, lines ending with "\\n", without a byte-order mark.

  Raises:
    DataError: the file is missing, damaged, or no text; the message says what it is.
  """
  return _decoded(read_bytes(path), path)


def read_bytes(path: str | os.PathLike) -> bytes:
  """All of a file, unpacked.

  Raises:
    DataError: the file is missing or damaged.
  """
  try:
    with open_bytes(path) as stream:
      return stream.read()
  except UNPACKING_ERRORS as error:
    raise _unreadable(path, error) from error


def read_head(path: str | os.PathLike, num_bytes: int) -> Head:
  """The text of the first `num_bytes` of a file; a character cut in two is left out.

  Raises:
    DataError: the file is missing or damaged.
  """
  try:
    packed = is_packed(path)
    with open_bytes(path) as stream:
      content = stream.read(num_bytes)
      whole = len(content) < num_bytes or not stream.read(1)
  except UNPACKING_ERRORS as error:
    raise _unreadable(path, error) from error
  encoding = json.detect_encoding(content)
  text = "" if _other(content) else content.decode(encoding, errors="ignore")
  if "\0" in text:
    text = ""
  return Head(_plain(text), whole, not packed and encoding.startswith("utf-8"))


def open_bytes(path: str | os.PathLike) -> BinaryIO:
  """The bytes of a file, unpacked, as a stream that can be sought.

  Raises:
    OSError: the file cannot be opened. Reading may raise one of UNPACKING_ERRORS.
  """
  stream = _opened(path)
  start = stream.read(_START)
  stream.seek(0)
  for magic, unpack in _PACKED.items():
    if start.startswith(magic):
      if isinstance(stream, io.BytesIO):
        return unpack(stream)
      stream.close()
      return unpack(path)  # so that closing it closes the file
  return stream


def is_packed(path: str | os.PathLike) -> bool:
  """Whether `open_bytes` unpacks the file. OSError if it cannot be opened."""
  with _opened(path) as stream:
    return stream.read(_START).startswith(tuple(_PACKED))


def what_it_is(path: str | os.PathLike) -> str | None:
  """For messages: what a file is that is no text, and what to do; None for text.

  Raises:
    DataError: the file is missing or damaged.
  """
  try:
    with open_bytes(path) as stream:
      return _other(stream.read(_START))
  except UNPACKING_ERRORS as error:
    raise _unreadable(path, error) from error


def _opened(path: str | os.PathLike) -> BinaryIO:
  """The file as it is; of a pipe, what it gave."""
  status = os.stat(path)
  if not stat.S_ISFIFO(status.st_mode):
    return pathlib.Path(path).open("rb")
  content = _PIPES.get(_key(status))
  if content is None:
    with pathlib.Path(path).open("rb") as pipe:
      content = pipe.read()
      _PIPES[_key(os.fstat(pipe.fileno()))] = content
  return io.BytesIO(content)


def _key(status: os.stat_result) -> tuple[int, int, int]:
  return status.st_dev, status.st_ino, status.st_mtime_ns


def _decoded(content: bytes, path: str | os.PathLike) -> str:
  """The text in a file's bytes; DataError if there is none."""
  other = _other(content[:_START])
  if other:
    raise DataError(f"{path} is no text: it is {other}.")
  encoding = json.detect_encoding(content)
  try:
    return _plain(content.decode(encoding))
  except UnicodeDecodeError as error:
    name, line = encoding.removesuffix("-sig").upper(), content.count(b"\n", 0, error.start) + 1
    cut = "unexpected end" in error.reason or "truncated" in error.reason
    raise DataError(
        f"{path} is not a text file in {name}: line {line} has the byte "
        f"0x{content[error.start]:02x} ({error.reason}). "
        + ("Is the file complete?" if cut else "Save it as UTF-8.")) from error


def _plain(text: str) -> str:
  text = text.lstrip("\ufeff")
  return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _other(start: bytes) -> str | None:
  """What begins like this and is no text, with its remedy; None for text."""
  if start.startswith(_ZIP):
    what, remedy = (("an Excel workbook", _CSV) if b"xl/" in start or b"Content_Types" in start
                    else ("a zip archive (or a .npz or .pt file)", _ZIP_REMEDY))
  elif start[_TAR[0]:].startswith(_TAR[1]):
    what, remedy = "a tar archive", _ZIP_REMEDY
  elif len(start) > 1 and start[0] == 0x80 and start[1] < 6:
    what, remedy = "a Python pickle, which could run code when read", _JSON
  else:
    found = next((x for magic, x in _OTHERS.items() if start.startswith(magic)), None)
    if found is None:
      text = start.decode(json.detect_encoding(start), errors="ignore")
      return "binary, of no kind that is known here: convert it to text first" if (
          "\0" in text) else None
    what, remedy = found
  return f"{what}: {remedy}"


def _unreadable(path: str | os.PathLike, error: Exception) -> DataError:
  if isinstance(error, OSError) and error.strerror:
    return DataError(f"cannot read {path}: {error.strerror}")
  return DataError(f"{path} is packed, and damaged or cut off: {error}. Copy or download it anew.")
