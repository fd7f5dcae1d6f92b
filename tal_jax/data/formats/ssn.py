"""SSN's lists of proposals, which carry the truths, too: blocks of lines.

    # 1                              the number of the block
    nEOpfvJ7g_g                      the id, or the folder of its frames
    1                                n_frames
    1                                a factor; n_frames * factor is the video's length in the unit
    1                                number of truths
    58 0.0000 0.9728                 label start end
    2                                number of proposals
    58 0.9684 0.9996 0.0000 0.9414   label, best tIoU, share inside that truth, start, end
    0 0.0000 0.0000 0.0073 0.0195    label 0: touches no truth

Times are in units of which n_frames * factor make the video: shares of it where the product is 1,
frames otherwise. Labels count from 1. Seconds are time / (n_frames * factor) * duration, so the
duration is needed; where only the frame rate is known, frame / fps. There are no scores.

Source: yjxiong/action-detection, the lists of TAG proposals.
"""

from __future__ import annotations

import pathlib
import posixpath
import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tal_jax.data.annotations import from_videos, subset_of_file
from tal_jax.data.formats.format import Format, Probe
from tal_jax.data.option_names import advice
from tal_jax.data.records import Annotations, ScoredProposals, StructuralFault, VideoAnnotation
from tal_jax.data.text.near_names import find_id
from tal_jax.data.text.text_file import read_text
from tal_jax.data.video_info import lookup, read_video_info
from tal_jax.errors import DataError

_TOUCHES_NONE = 0


class Block(NamedTuple):
  """One video, times in the file's unit."""

  video_id: str
  length: float  # of the video in that unit: n_frames * factor
  labels: np.ndarray  # [t] int, from 1
  truths: np.ndarray  # [t, 2] float64
  proposals: np.ndarray  # [p, 2] float64


def parse(path: pathlib.Path) -> tuple[list[Block], list[StructuralFault]]:
  """The blocks of a list, and those that are none; of a repeated id the last block counts."""
  blocks, faults = {}, []
  current: list[str] = []
  starts: list[tuple[int, list[str]]] = []
  for number, line in enumerate(read_text(path).split("\n"), 1):
    if line.startswith("#"):
      current = []
      starts.append((number, current))
    elif line.strip():
      current.append(line.strip())
  for number, lines in starts:
    video_id = posixpath.basename(lines[0].rstrip("/")) if lines else ""
    try:
      block = _block(video_id, lines)
    except (ValueError, IndexError):
      faults.append(StructuralFault(video_id, f"the block at line {number} is not id, n_frames, "
                                    "factor, n_gt, truths, n_proposals, proposals"))
      continue
    if video_id in blocks:
      faults.append(StructuralFault(video_id, f"duplicate id, again at line {number}"))
    blocks[video_id] = block
  return list(blocks.values()), faults


def read_proposals(path: pathlib.Path, *, durations: Mapping[str, float] | None = None,
                   rates: Mapping[str, float] | None = None
                   ) -> tuple[dict[str, ScoredProposals], list[StructuralFault]]:
  """Proposals in seconds; a video of which neither duration nor rate is known has none of them.

  Raises:
    DataError: neither durations nor rates are given.
  """
  if durations is None and rates is None:
    raise DataError(f"{path}: the times are no seconds: the durations of the videos are needed")
  blocks, faults = parse(path)
  proposals = {}
  for block in blocks:
    unit = _unit(block, _of(durations, block.video_id), _of(rates, block.video_id))
    segments = np.zeros((0, 2)) if unit is None else block.proposals * unit
    proposals[block.video_id] = ScoredProposals(segments, None)
  return proposals, faults


def read_annotations(path: pathlib.Path, *,
                     video_info: str = "") -> tuple[Annotations, list[StructuralFault]]:
  """The truths; classes are "class 1", "class 2", ..., the subset is taken from the file's name.

  Raises:
    DataError: no `video_info`.
  """
  if not video_info:
    raise DataError(f"{path}: the times are no seconds, but shares of the video or frames."
                    + advice("video_info", "Give {}, a csv with video_id,duration or an annotation "
                             "JSON that holds the videos."))
  info, subset = read_video_info(video_info), subset_of_file(path)
  blocks, faults = parse(path)
  videos = []
  for block in blocks:
    known = lookup(info, block.video_id)
    if known is None:
      faults.append(StructuralFault(block.video_id, f"no duration in {video_info}"))
      continue
    unit = _unit(block, known.duration, known.fps)
    videos.append(VideoAnnotation(
        block.video_id, subset, known.duration, block.truths * unit,
        tuple(f"class {label}" for label in block.labels),
        {} if known.fps is None else {"fps": known.fps}))
  return from_videos(videos), faults


def write_proposals(path: pathlib.Path, proposals: Mapping[str, ScoredProposals], *,
                    annotations: Annotations) -> None:
  """Writes a list in shares of the video, with the truths; label i is `annotations.classes[i - 1]`.

  Scores are not kept; proposals stand best first. Shares have six decimals.

  Raises:
    DataError: proposals of a video that is not annotated.
  """
  index = {name: i for i, name in enumerate(annotations.classes, 1)}
  lines = []
  for number, (name, (segments, scores)) in enumerate(proposals.items(), 1):
    video_id = find_id(name, annotations.videos)
    if video_id is None:
      raise DataError(f"{path}: {name} is not annotated; SSN's lists hold the truths, too")
    video = annotations.videos[video_id]
    if scores is not None:
      segments = segments[np.argsort(-scores, kind="stable")]
    labels = np.array([index[label] for label in video.labels], int)
    lines += [f"# {number}", name, "1", "1", str(len(labels))]
    lines += [f"{label} {s:.6f} {e:.6f}" for label, (s, e) in
              zip(labels, video.segments / video.duration, strict=True)]
    lines.append(str(len(segments)))
    lines += [f"{label} {iou:.4f} {inside:.4f} {s:.6f} {e:.6f}" for label, iou, inside, (s, e) in
              zip(*_best(segments, video.segments, labels), segments / video.duration, strict=True)]
  path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _best(segments, truths, labels):
  """Per proposal the label, the tIoU and the share inside of the truth that it overlaps most."""
  if not len(truths):
    return np.zeros(len(segments), int), np.zeros(len(segments)), np.zeros(len(segments))
  length = segments[:, 1] - segments[:, 0]
  overlap = (np.minimum(segments[:, None, 1], truths[:, 1])
             - np.maximum(segments[:, None, 0], truths[:, 0])).clip(0)
  union = length[:, None] + (truths[:, 1] - truths[:, 0]) - overlap
  iou = np.divide(overlap, union, out=np.zeros_like(union), where=union > 0)
  best = iou.argmax(axis=1)
  rows = np.arange(len(segments))
  iou, overlap = iou[rows, best], overlap[rows, best]
  inside = np.divide(overlap, length, out=np.zeros_like(length), where=length > 0)
  return np.where(iou > 0, labels[best], _TOUCHES_NONE), iou, inside


def _block(video_id: str, lines: list[str]) -> Block:
  length, num_truths = float(lines[1]) * float(lines[2]), int(lines[3])
  truths = _numbers(lines[4:4 + num_truths], num_truths, 3)
  num_proposals = int(lines[4 + num_truths])
  rest = lines[5 + num_truths:]
  proposals = _numbers(rest, num_proposals, 5)
  if not (video_id and length > 0):
    raise ValueError("no id or no length")
  return Block(video_id, length, truths[:, 0].astype(int), truths[:, 1:], proposals[:, 3:])


def _numbers(lines: list[str], num_rows: int, num_columns: int) -> np.ndarray:
  """[num_rows, num_columns]; ValueError for another shape."""
  rows = [line.split() for line in lines]
  if len(rows) != num_rows or any(len(row) != num_columns for row in rows):
    raise ValueError("shape")
  return np.array(rows, np.float64).reshape(num_rows, num_columns)


def _unit(block: Block, duration: float | None, fps: float | None) -> float | None:
  """Seconds per unit of the block's times, None if it cannot be known."""
  if duration is not None:
    return duration / block.length
  return None if fps is None or block.length == 1 else 1.0 / fps


def _of(values: Mapping[str, float] | None, video_id: str) -> float | None:
  name = find_id(video_id, values or {})
  return None if name is None else values[name]


def _detect(probe: Probe) -> str | None:
  block = r"\s*#\s*\d*[ \t]*\r?\n[^\n]+\n[\d.]+\s*\n[\d.]+\s*\n\d+\s*\n"
  return "text blocks '# i', id, n_frames, factor, n_gt, ..." if re.match(
      block, probe.text) else None


_LOOKS = "SSN's text blocks: # i, id, n_frames, factor, truths, proposals"
FORMATS = (
    Format("ssn", "annotations", _LOOKS, _detect, read_annotations, options=("video_info",)),
    Format("ssn", "proposals", _LOOKS, _detect, read_proposals, options=("durations", "rates"),
           write=write_proposals),
)
