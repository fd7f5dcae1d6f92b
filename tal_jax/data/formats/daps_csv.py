"""DAPs' proposals: one table for all videos, columns separated by spaces.

    f-init f-end score video-name
    0.0 127.5 0.93 video_test_0000541

Times are frames of the video: frame / fps seconds, so the frame rates are needed.

Source: escorciav/daps, its published results.
"""

from __future__ import annotations

import pathlib
from collections.abc import Mapping

import numpy as np

from tal_jax.data.formats.format import Format, Probe
from tal_jax.data.option_names import option
from tal_jax.data.records import ScoredProposals, StructuralFault
from tal_jax.data.text.near_names import find_id
from tal_jax.data.text.table import has_columns, read_table
from tal_jax.errors import DataError

_COLUMNS = ("f-init", "f-end", "score", "video-name")


def read(path: pathlib.Path, *, rates: Mapping[str, float] | None = None
         ) -> tuple[dict[str, ScoredProposals], list[StructuralFault]]:
  """Proposals in seconds; those of a video whose frame rate is not known are left out.

  Raises:
    DataError: no frame rates, or a column is missing.
  """
  if not rates:
    raise DataError(f"{path}: the times are frames: the frame rates of the videos are needed, as a "
                    "field fps in the annotations"
                    + (f" or as {option('fps')}" if option("fps") else ""))
  rows, bad = read_table(path, _COLUMNS, delimiter=" ")
  faults = [StructuralFault("", message) for _, message in bad]
  found: dict[str, list[tuple[float, float, float]]] = {}
  for row in rows:
    own = found.setdefault(row.values["video-name"], [])
    try:
      own.append((row.number("f-init"), row.number("f-end"), row.number("score")))
    except ValueError as error:
      faults.append(StructuralFault(row.values["video-name"], str(error)))
  proposals = {}
  for video_id, values in found.items():
    name = find_id(video_id, rates)
    table = np.array([] if name is None else values, np.float64).reshape(-1, 3)
    proposals[video_id] = ScoredProposals(table[:, :2] / (1.0 if name is None else rates[name]),
                                          table[:, 2])
  return proposals, faults


def write(path: pathlib.Path, proposals: Mapping[str, ScoredProposals], *,
          rates: Mapping[str, float]) -> None:
  """Writes the table.

  Raises:
    DataError: proposals without scores, or of a video whose frame rate is not known.
  """
  lines = [" ".join(_COLUMNS)]
  for video_id, (segments, scores) in proposals.items():
    name = find_id(video_id, rates)
    if name is None or scores is None:
      raise DataError(f"{path}: {video_id} has no {'frame rate' if name is None else 'scores'}, "
                      "which DAPs' csv needs")
    lines += [f"{s!r} {e!r} {score!r} {video_id}" for (s, e), score in
              zip((segments * rates[name]).tolist(), scores.tolist(), strict=True)]
  path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _detect(probe: Probe) -> str | None:
  return ("a table with f-init, f-end, score, video-name"
          if has_columns(probe.text, _COLUMNS, " ") else None)


FORMATS = (Format("daps", "proposals", "a table with 'f-init f-end score video-name', frames",
                  _detect, read, options=("rates",), write=write, fields=_COLUMNS),)
