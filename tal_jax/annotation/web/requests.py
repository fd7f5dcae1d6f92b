"""What the server takes: paths, queries and bodies of all requests.

Each type is both the check and the schema in `openapi`. What they cannot say, such as that a
segment lies inside its video, is checked where it is stored (`rows.clean`).
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

_MAX_ID = 2**53 - 1  # what a page's numbers can tell apart; SQLite's go further

Segment = Annotated[tuple[float, float], Meta(
    description="start and end in seconds, 0 <= start < end <= the video's duration")]


class _In(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
  """Base of all."""


class ById(_In):
  id: Annotated[int, Meta(ge=1, le=_MAX_ID)]


class ByFormat(_In):
  format: Literal["activitynet", "csv", "label_studio"]


class DraftIn(_In):
  revision: Annotated[int, Meta(ge=0, le=_MAX_ID, description="counts up; an older one is dropped")]
  body: Annotated[str, Meta(description="whatever the page needs to go on")]


class AnswerIn(_In):
  submission_id: Annotated[str, Meta(min_length=1, max_length=64, description=(
      "chosen by the client, one an answer: sending the answer again is acknowledged, not stored"))]
  segments: Annotated[list[Segment], Meta(description=(
      "all instances of the class; empty says that the action is not here"))]
  comment: str = ""


class SegmentsIn(_In):
  segments: list[Segment]


class WorkerIn(_In):
  # Not $ at its end, which in Python lets a last line feed pass.
  name: Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f]{1,200}(?![\s\S])", description="unique")]
  role: Literal["annotator", "operator"] = "annotator"
  days: Annotated[float, Meta(gt=0, le=366, description="for which the link is good")] = 30.0


class VideosQuery(_In):
  state: Literal["", "open", "leased", "agreed", "disputed", "adjudicated"] = ""
  label: Annotated[str, Meta(max_length=200, description="class name")] = ""
  query: Annotated[str, Meta(max_length=200, description="part of the video's name")] = ""
  offset: Annotated[int, Meta(ge=0, le=_MAX_ID)] = 0
  limit: Annotated[int, Meta(ge=1, le=500)] = 50
