"""BMN's and BSN's proposals: a folder with one csv per video.

    v_ID.csv: xmin,xmax,xmin_score,xmax_score,clr_score,reg_socre,score

xmin and xmax are shares of the video, so its duration is needed. The typing error is the format's;
only xmin, xmax and score are read, in whatever order the columns stand.

Source: BMN, the output of its test phase.
"""

from __future__ import annotations

import pathlib
from collections.abc import Mapping

import numpy as np

from tal_jax.data.formats.format import Format, Probe
from tal_jax.data.records import ScoredProposals, StructuralFault
from tal_jax.data.text.near_names import find_id
from tal_jax.data.text.table import header
from tal_jax.data.text.text_file import read_head, read_text
from tal_jax.errors import DataError

_COLUMNS = ("xmin", "xmax", "score")
_ALL = ("xmin", "xmax", "xmin_score", "xmax_score", "clr_score", "reg_socre", "score")
_HEAD = 4096  # bytes that hold any header


def read(path: pathlib.Path, *, durations: Mapping[str, float] | None = None
         ) -> tuple[dict[str, ScoredProposals], list[StructuralFault]]:
  """Proposals in seconds; those of a video whose duration is not known are left out.

  Raises:
    DataError: no durations, or no csv in the folder.
  """
  if durations is None:
    raise DataError(f"{path}: the times are shares of the videos: their durations are needed")
  files = sorted(path.glob("*.csv")) if path.is_dir() else []
  if not files:
    raise DataError(f"{path} is no folder of csv files, one per video")
  proposals, faults = {}, []
  for file in files:
    name = find_id(file.stem, durations)
    if name is None:
      proposals[file.stem] = ScoredProposals(np.zeros((0, 2)), np.zeros(0))
      continue
    try:
      table = _table(file)
    except (OSError, ValueError) as error:
      faults.append(StructuralFault(file.stem, f"{file.name} cannot be read: {error}"))
      continue
    proposals[file.stem] = ScoredProposals(table[:, :2] * durations[name], table[:, 2])
  return proposals, faults


def write(path: pathlib.Path, proposals: Mapping[str, ScoredProposals], *,
          durations: Mapping[str, float]) -> None:
  """Writes a folder; of the factors of the score reg_socre gets all of it, the others are 1.

  Raises:
    DataError: proposals without scores, or of a video whose duration is not known.
  """
  path.mkdir(parents=True, exist_ok=True)
  for video_id, (segments, scores) in proposals.items():
    name = find_id(video_id, durations)
    if name is None or scores is None:
      raise DataError(f"{path}: {video_id} has no {'duration' if name is None else 'scores'}, "
                      "which BMN's csv needs")
    lines = [",".join(_ALL)]
    lines += [f"{s!r},{e!r},1.0,1.0,1.0,{score!r},{score!r}" for (s, e), score in
              zip((segments / durations[name]).tolist(), scores.tolist(), strict=True)]
    stem = video_id if video_id.startswith("v_") else "v_" + video_id
    (path / f"{stem}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _table(file: pathlib.Path) -> np.ndarray:
  """[p, 3] float64: xmin, xmax, score."""
  first, *lines = read_text(file).split("\n")
  names = header(first, ",")
  missing = [name for name in _COLUMNS if name not in names]
  if missing:
    raise ValueError(f"no column {missing[0]!r} among {', '.join(names[:10])}")
  lines = [line for line in lines if line.strip()]
  if not lines:
    return np.zeros((0, 3))
  return np.loadtxt(lines, delimiter=",", ndmin=2, dtype=np.float64,
                    usecols=[names.index(name) for name in _COLUMNS])


def detect(probe: Probe) -> str | None:
  """A folder whose first csv has the columns."""
  for file in probe.files(".csv")[:1]:
    if set(_COLUMNS) <= set(header(read_head(file, _HEAD).text, ",")):
      return "a folder of csv files with xmin, xmax, score"
  return None


FORMATS = (Format("bmn", "proposals", "a folder of v_ID.csv with xmin,xmax,...,score, shares of "
                  "the video; BMN's and BSN's", detect, read, options=("durations",), write=write,
                  fields=_COLUMNS),)
