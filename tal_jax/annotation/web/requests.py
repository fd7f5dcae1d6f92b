"""What the server takes: paths, queries and bodies of all requests.

Each type is both the check and the schema in `openapi`. What they cannot say, such as that a
segment lies inside its video, is checked where it is stored (`rows.clean`).
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from tal_jax.annotation.rules.exclusions import MAX_REASON
from tal_jax.annotation.rules.second_thoughts import MOST_MORE

# Why a video cannot be judged by anybody, and why somebody gives one back.
Unusable = Literal["", "it does not play", "it is damaged", "too dark or too blurred to judge",
                   "it is not what it should be", "another reason"]
Skipped = Literal["", "it does not play here", "it takes too long", "it is unclear what to mark",
                  "I do not want to watch it", "another reason"]
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


class OtherAnswer(_In):
  task_id: Annotated[int, Meta(ge=1, le=_MAX_ID)]
  segments: list[Segment]


class AnswerIn(_In):
  submission_id: Annotated[str, Meta(min_length=1, max_length=64, description=(
      "chosen by the client, one an answer: sending the answer again is acknowledged, not stored"))]
  segments: Annotated[list[Segment], Meta(description=(
      "all instances of the class; empty says that the action is not here"))]
  comment: str = ""
  others: Annotated[list[OtherAnswer], Meta(description=(
      "answers to other tasks of the same visit: all are stored, or none"))] = []
  unusable: Annotated[Unusable, Meta(description=(
      "why the video cannot be judged, an answer of its own without segments; empty: it can"))] = ""


class SubmissionIn(_In):
  submission_id: Annotated[str, Meta(min_length=1, max_length=64)]


class SkipIn(_In):
  reason: Skipped = ""
  comment: str = ""


class ReasonIn(_In):
  reason: Annotated[str, Meta(min_length=1, max_length=MAX_REASON)]


class MoreIn(_In):
  answers: Annotated[int, Meta(ge=1, le=MOST_MORE, description="beside those that count")] = 1


class SegmentsIn(_In):
  segments: list[Segment]


class WorkerIn(_In):
  # Not $ at its end, which in Python lets a last line feed pass.
  name: Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f]{1,200}(?![\s\S])", description="unique")]
  role: Literal["annotator", "operator"] = "annotator"
  days: Annotated[float, Meta(gt=0, le=366, description="for which the link is good")] = 30.0


class VideosQuery(_In):
  state: Literal["", "open", "leased", "agreed", "disputed", "adjudicated", "excluded"] = ""
  label: Annotated[str, Meta(max_length=200, description="class name")] = ""
  query: Annotated[str, Meta(max_length=200, description="part of the video's name")] = ""
  worker: Annotated[int, Meta(ge=0, le=_MAX_ID, description="id of who answered; 0: anybody")] = 0
  offset: Annotated[int, Meta(ge=0, le=_MAX_ID)] = 0
  limit: Annotated[int, Meta(ge=1, le=500)] = 50


class RemarksQuery(_In):
  worker: Annotated[int, Meta(ge=0, le=_MAX_ID, description="id of who wrote; 0: anybody")] = 0
  offset: Annotated[int, Meta(ge=0, le=_MAX_ID)] = 0
  limit: Annotated[int, Meta(ge=1, le=500)] = 50
