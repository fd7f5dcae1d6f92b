"""Finds videos by what is in the files, not by their names."""

from __future__ import annotations

import mimetypes
import os
import pathlib
from collections.abc import Iterable
from typing import NamedTuple

from tal_jax.data.types import DataError

_HEAD = 400  # bytes that are looked at
_TS_PACKET, _TS_SYNC = 188, 0x47
_STARTS = (
    b"\x1aE\xdf\xa3",  # Matroska, WebM
    b"FLV\x01",
    b"OggS",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # ASF, WMV
    b"\x00\x00\x01\xba",  # MPEG program stream
    b"\x00\x00\x01\xb3",  # MPEG-1 and 2 video
    b"\x00\x00\x00\x01\x67", b"\x00\x00\x01\x67",  # bare H.264
    b"DKIF",  # IVF
    b"YUV4MPEG2",
    b"nut/multimedia",
    b"\x06\x0e\x2b\x34",  # MXF
    b".RMF",
    b"ID3", b"fLaC",  # audio: reported as such
)
_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip", b"pnot")  # MP4, QuickTime
_RIFF_KINDS = (b"AVI ", b"WAVE")


class VideoFiles(NamedTuple):
  """What was found."""

  paths: dict[str, pathlib.Path]  # by video id, the name without its last suffix; sorted
  ignored: tuple[pathlib.Path, ...]  # files in the folders that are no videos


def find_videos(places: Iterable[str | os.PathLike]) -> VideoFiles:
  """Lists the videos in folders, with their subfolders, and single files.

  A single file is taken as it is. In a folder, a file counts if it starts as a container of video
  or audio does, or if its name says that it is one (it is then reported as broken). Hidden files
  and folders do not count.

  Raises:
    DataError: no such place, no video in them, or two videos of one id.
  """
  found, ignored = [], []
  for place in map(pathlib.Path, places):
    if place.is_dir():
      for file in sorted(place.rglob("*")):
        hidden = any(part.startswith(".") for part in file.relative_to(place).parts)
        if file.is_file() and not hidden:
          (found if _is_media(file) else ignored).append(file)
    elif place.is_file():
      found.append(place)
    else:
      raise DataError(f"{place} is neither a folder nor a file. --videos names a folder of videos, "
                      "or files and folders separated by commas.")
  if not found:
    raise DataError(f"no video in {', '.join(map(str, places))}: "
                    f"{len(ignored)} files there, none of which starts as a video does")
  paths: dict[str, pathlib.Path] = {}
  for file in dict.fromkeys(found):
    if file.stem in paths:
      raise DataError(f"two videos have the id {file.stem!r}: {paths[file.stem]} and {file}. The "
                      "id is the file's name without its suffix: rename one of them.")
    paths[file.stem] = file
  return VideoFiles(dict(sorted(paths.items())), tuple(ignored))


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
  # MPEG transport stream, plain or (Blu-ray) with four bytes before each packet.
  return any(len(head) > start + step and head[start] == head[start + step] == _TS_SYNC
             for start, step in ((0, _TS_PACKET), (4, _TS_PACKET + 4)))
