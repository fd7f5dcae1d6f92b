"""Where the videos stand in an HDF5 file: at its top, or in groups per subset or person."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

_MOST_GROUPS = 200  # beyond which groups are videos, not sets of them
_DEFAULT_KEY = "feats"
_PROBED = 20  # members that are looked at


def videos(group: Any, key: str | None, *, prefix: str = "") -> list[tuple[str, str]]:
  """(name, member) of every video, sorted by member.

  Args:
    group: an open file or group.
    key: the array's name inside the group of a video, where it is known.
    prefix: the path of `group`, with a slash at its end.
  """
  inner = _sets(group, key)
  if not inner:
    return [(name, prefix + name) for name in sorted(group)]
  return [video for name in inner
          for video in videos(group[name], key, prefix=f"{prefix}{name}/")]


def fitting(group: Any, shapes: Sequence[str]) -> list[tuple[str, str]]:
  """(id, member) of what fits a pattern, given as an expression for each level."""
  found = [("", "", group)]
  for shape in shapes:
    found = [(fit.groupdict().get("id", video_id), f"{path}/{name}".lstrip("/"), item[name])
             for video_id, path, item in found if hasattr(item, "keys")
             for name in item if (fit := re.fullmatch(shape, name))]
  return sorted((video_id, path) for video_id, path, _ in found)


def _sets(group: Any, key: str | None) -> list[str]:
  """The groups that hold videos, sorted; none if the members are the videos themselves.

  Groups of videos have no member's name in common, and some have several; the groups of single
  videos have arrays of the same names.
  """
  names = sorted(group)
  if not 1 <= len(names) <= _MOST_GROUPS or not all(hasattr(group[x], "keys") for x in names):
    return []
  members = [set(group[x]) for x in names]
  together = set().union(*members)
  if {key, _DEFAULT_KEY} & together or len(together) < sum(map(len, members)):
    return []
  if len(together) <= len(names) and not any(hasattr(item, "keys") for x in names
                                             for item in group[x].values()):
    return []  # one array in each
  return [] if _of_one_video(group[max(names, key=lambda x: len(group[x]))]) else names


def _of_one_video(group: Any) -> bool:
  """Whether the arrays of a group are one video's (RGB, flow): of several widths, or no tables."""
  shapes = [getattr(group[x], "shape", None) for x in list(group)[:_PROBED]]
  return None not in shapes and (any(len(x) != 2 for x in shapes)
                                 or len({width for _, width in shapes}) > 1)
