"""Label Studio's files: the labelling interface, tasks, and completed annotations.

Its time line counts frames from 1, and a range names its first and its last frame, both inside.
With f frames a second, frame k is on the screen from (k - 1) / f to k / f seconds, so the range
[a, b] is the segment [(a - 1) / f, b / f]. The frame rate travels with each task (`frameRate` of
the Video tag), because the tool counts frames by it and not by the file.

A region of a completed annotation:
    {"type": "timelinelabels", "value": {"ranges": [{"start": a, "end": b}],
                                         "timelinelabels": ["label"]}}

Source: the tool's documentation of the tags Video and TimelineLabels, and its own converter of
their regions to frames (label-studio-ml-backend).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple
from xml.etree import ElementTree

ABSENT = "The action is not here"
_SLACK = 2.0  # frames by which the tool's count may exceed the video's


class Bad(ValueError):
  """What is wrong with an annotation."""


class TaskData(NamedTuple):
  """A task as both sides know it: the field `data` of a task of Label Studio."""

  tal_jax_task: int  # id in the campaign
  tal_jax_video: str  # name
  label: str  # the intended action
  video: str  # address
  fps: float
  question: str
  instructions: str


def interface(labels: Iterable[str]) -> str:
  """The labelling configuration (XML) for a campaign's classes."""
  view = ElementTree.Element("View")
  ElementTree.SubElement(view, "Header", value="$question")
  ElementTree.SubElement(view, "Text", name="instructions", value="$instructions")
  ElementTree.SubElement(view, "Video", name="video", value="$video", frameRate="$fps",
                         timelineHeight="120")
  timeline = ElementTree.SubElement(view, "TimelineLabels", name="actions", toName="video")
  for label in labels:
    ElementTree.SubElement(timeline, "Label", value=label)
  absent = ElementTree.SubElement(view, "Choices", name="absent", toName="video",
                                  choice="single", showInline="true")
  ElementTree.SubElement(absent, "Choice", value=ABSENT)
  ElementTree.indent(view)
  return ElementTree.tostring(view, encoding="unicode") + "\n"


def seconds(first: int, last: int, fps: float, duration: float) -> tuple[float, float]:
  """The segment of a range. Raises Bad: not a range of frames of a video of that duration."""
  if not all(isinstance(k, int) and not isinstance(k, bool) for k in (first, last)):
    raise Bad(f"a range is two whole numbers of frames, not {first!r} to {last!r}")
  if not 1 <= first <= last:
    raise Bad(f"the range {first} to {last} is none: frames count from 1, the first before the "
              "last")
  if last > duration * fps + _SLACK or (first - 1) / fps >= duration:
    raise Bad(f"the range {first} to {last} ends after the video ({duration * fps:.0f} frames)")
  return (first - 1) / fps, min(last / fps, duration)


def segments(result: Any, label: str, fps: float, duration: float) -> list[tuple[float, float]]:
  """The segments in the `result` of an annotation, by start; empty for "the action is not here".

  Raises:
    Bad: not what the labelling interface gives; neither a segment nor "not here", or both.
  """
  if not isinstance(result, list) or not all(isinstance(region, dict) for region in result):
    raise Bad("the annotation has no list `result` of regions")
  found, absent = [], False
  for region in result:
    value = region.get("value")
    if not isinstance(value, dict):
      raise Bad("a region has no `value`")
    if ABSENT in _list(value.get("choices", [])):
      absent = True
    elif "timelinelabels" in value:
      if value["timelinelabels"] != [label]:
        raise Bad(f"a region is labelled {value['timelinelabels']}, and {label!r} was asked for")
      for span in _list(value.get("ranges")):
        if not isinstance(span, dict):
          raise Bad("a range is not an object with start and end")
        found.append(seconds(span.get("start"), span.get("end"), fps, duration))
  if absent == bool(found):
    raise Bad(f"it has both segments and the choice {ABSENT!r}" if absent else
              f"it has neither a segment nor the choice {ABSENT!r}")
  return sorted(found)


def completer(annotation: dict[str, Any]) -> str:
  """Who completed the annotation: their address, else name or number. Raises Bad."""
  who = annotation.get("completed_by")
  if isinstance(who, dict):
    who = who.get("email") or who.get("username") or who.get("id")
  if isinstance(who, bool) or not isinstance(who, int | str) or who == "":
    raise Bad("`completed_by` does not say who completed it")
  return str(who)


def _list(value: Any) -> list[Any]:
  if not isinstance(value, list):
    raise Bad(f"{value!r} stands where a list belongs")
  return value
