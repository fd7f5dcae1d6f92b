"""Finds videos by what is in the files, not by their names."""

from __future__ import annotations

import mimetypes
import os
import pathlib
import re
from collections.abc import Iterable
from typing import NamedTuple

from tal_jax.errors import DataError

_HEAD = 400  # bytes that are looked at
_TS_PACKET, _TS_SYNC = 188, 0x47
_STARTS = (
    b"\x1aE\xdf\xa3",  # Matroska, WebM
    b"FLV\x01",
    b"OggS",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # ASF, WMV
    b"\x00\x00\x01\xba",  # MPEG program stream
    b"\x00\x00\x01\xb3",  # MPEG-1 and 2 video
    b"\x00\x00\x01\xb0",  # bare MPEG-4
    b"DKIF",  # IVF
    b"YUV4MPEG2",
    b"nut/multimedia",
    b"\x06\x0e\x2b\x34",  # MXF
    b".RMF",
    b"ID3", b"fLaC",  # audio: reported as such
)
_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip", b"pnot")  # MP4, QuickTime
_RIFF_KINDS = (b"AVI ", b"WAVE")
_UNIT = re.compile(rb"\x00?\x00\x00\x01(.)(.)", re.DOTALL)  # of bare H.264 and H.265


IDS = ("name", "path")


class VideoFiles(NamedTuple):
  """What was found."""

  paths: dict[str, pathlib.Path]  # by video id; sorted
  ignored: tuple[pathlib.Path, ...]  # files in the folders that are no videos


def find_videos(places: Iterable[str | os.PathLike], *, ids: str = "name",
                option: str = "") -> VideoFiles:
  """Lists the videos in folders, with their subfolders, and single files.

  A single file is taken as it is. In a folder, a file counts if it starts as a container of video
  or audio does, or if its name says that it is one (it is then reported as broken). Hidden files
  and folders do not count.

  Args:
    places: folders and files.
    ids: what the id of a video is. "name": its file's name without the last suffix; "path": that,
      behind the names of the folders it is in, with _ between. They count from the folder that all
      places share, so game1/half.mp4 is game1_half.
    option: what the user adds to get "path", for the message; "" if it cannot be had.

  Raises:
    DataError: no such place, no video in them, two videos of one id, or no such kind of ids.
  """
  if ids not in IDS:
    raise DataError(f"ids = {ids!r}: there are {' and '.join(IDS)}")
  places = [pathlib.Path(place) for place in places]
  found, ignored = [], []
  for place in places:
    if place.is_dir():
      for file in sorted(place.rglob("*")):
        hidden = any(part.startswith(".") for part in file.relative_to(place).parts)
        if file.is_file() and not hidden:
          (found if _is_media(file) else ignored).append(file)
    elif place.is_file():
      found.append(place)
    else:
      raise DataError(f"{place} is neither a folder nor a file: give a folder of videos, or files "
                      "and folders separated by commas")
  if not found:
    raise DataError(f"no video in {', '.join(map(str, places))}: "
                    f"{len(ignored)} files there, none of which starts as a video does")
  files = list(dict.fromkeys(found))
  by_path = ids == "path"
  claims = _by(_path_ids(places, files) if by_path else [file.stem for file in files], files)
  if len(claims) < len(files):
    other = {} if by_path or not option else _by(_path_ids(places, files), files)
    raise DataError(_not_unique(claims, by_path, option if len(other) == len(files) else "", other))
  return VideoFiles({name: claims[name][0] for name in sorted(claims)}, tuple(ignored))


def _by(names: list[str], files: list[pathlib.Path]) -> dict[str, list[pathlib.Path]]:
  """The files of each id."""
  claims: dict[str, list[pathlib.Path]] = {}
  for name, file in zip(names, files, strict=True):
    claims.setdefault(name, []).append(file)
  return claims


def _path_ids(places: list[pathlib.Path], files: list[pathlib.Path]) -> list[str]:
  """Ids of the names of folders and files below the folder that all places share."""
  shared = os.path.commonpath([
      os.path.abspath(place if place.is_dir() else place.parent) for place in places])
  return ["_".join(pathlib.Path(os.path.relpath(file, shared)).with_suffix("").parts)
          for file in files]


def _not_unique(claims: dict[str, list[pathlib.Path]], by_path: bool, option: str,
                other: dict[str, list[pathlib.Path]]) -> str:
  """What is to be told of ids that several files claim; `option` makes `other` of them."""
  twice = {name: files for name, files in claims.items() if len(files) > 1}
  name, (one, two, *_) = next(iter(twice.items()))
  count = sum(map(len, twice.values()))
  total = sum(map(len, claims.values()))
  what = "the names of the folders and the file" if by_path else "the file's name"
  mend = "rename one of them"
  if option:
    example = next(key for key, files in other.items() if files == [two])
    mend = f"add {option}, which puts the folders' names before it ({example!r})"
  return (f"two videos have the id {name!r}: {one} and {two}. {count} of {total} videos share an "
          f"id. An id is {what} without the suffix: {mend}.")


def _is_media(file: pathlib.Path) -> bool:
  kind = mimetypes.guess_type(file.name)[0] or ""
  if kind.startswith(("video/", "audio/")):
    return True
  with file.open("rb") as stream:
    return starts_as_media(stream.read(_HEAD))


def starts_as_media(head: bytes) -> bool:
  """Whether a file that begins with these bytes is a container of video or audio."""
  if head.startswith(_STARTS) or head[4:8] in _BOXES:
    return True
  if head.startswith(b"RIFF"):
    return head[8:12] in _RIFF_KINDS
  if unit := _UNIT.match(head):
    first, second = unit[1][0], unit[2][0]
    # A set of parameters or a delimiter; the bits above its kind differ from camera to camera.
    if (first < 0x80 and first & 0x1F in (7, 9)) or (first >> 1 in (32, 35) and second == 1):
      return True
  # MPEG transport stream, plain or (Blu-ray) with four bytes before each packet.
  return any(len(head) > start + step and head[start] == head[start + step] == _TS_SYNC
             for start, step in ((0, _TS_PACKET), (4, _TS_PACKET + 4)))
