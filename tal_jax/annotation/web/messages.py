"""What the server answers: the bodies of all responses; `requests` has what it takes.

Each type is both the encoder and the schema in `openapi`. Times of a video are seconds from its
start; `*_at` are seconds since the epoch. A number that is not known yet is null.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from tal_jax.annotation.intended import Example

Suggestion = Annotated[tuple[float, float, float], Meta(description="start, end, score")]


class _Out(msgspec.Struct, frozen=True):
  """Base of all."""


class Error(_Out):
  error: str


class Health(_Out):
  status: Literal["ok"]


class Done(_Out):
  """{}"""


class StandingOut(_Out):
  state: Literal["qualifying", "working", "stopped"]
  reason: str


class Progress(_Out):
  answered: int  # by this worker
  left: Annotated[int, Meta(description="tasks that may still be offered to this worker now")]


class Me(_Out):
  name: str
  role: Literal["annotator", "operator"]
  title: str
  standing: StandingOut
  progress: Progress
  lease_seconds: float
  suggestions: bool


class VideoOut(_Out):
  name: str
  url: str
  duration: float
  fps: float
  num_frames: Annotated[int, Meta(description="0: not known")]
  width: int
  height: int


class DraftOut(_Out):
  revision: int
  body: str


class Task(_Out):
  """What a task asks for: all instances of the class in the video."""

  id: int
  label: str
  instructions: str
  example: Example | None
  hint: Annotated[tuple[float, float] | None, Meta(description="where the action is known to be")]
  video: VideoOut
  suggestions: Annotated[list[Suggestion], Meta(description="empty unless the campaign shows them")]


class LeasedTask(Task):
  draft: DraftOut | None
  expires_at: float
  seconds_left: float


class Next(_Out):
  task: LeasedTask | None
  reason: Annotated[Literal["", "nothing", "stopped", "finished"], Meta(description=(
      "why there is no task; nothing: ask again in retry_seconds"))]
  retry_seconds: float


class LeaseOut(_Out):
  expires_at: float
  seconds_left: float


class Kept(_Out):
  kept: Annotated[bool, Meta(description="false: a draft of the same or a later revision is there")]


class ReceiptOut(_Out):
  assignment_id: int
  replayed: Annotated[bool, Meta(description="the answer was stored before")]


class Round(_Out):
  number: int
  state: Literal["open", "complete", "trained"]
  tasks: int
  decided: int
  agreement: Annotated[float | None, Meta(description="mean over the tasks that have all answers")]
  opened_at: float


class Queue(_Out):
  open: int = 0
  leased: int = 0
  disputed: int = 0
  agreed: int = 0
  adjudicated: int = 0


class StalledTask(_Out):
  id: int
  video: str
  label: str


class WorkerOut(_Out):
  id: int
  name: str
  role: Literal["annotator", "operator"]
  state: Literal["qualifying", "working", "stopped", "revoked", "expired"]
  answers: int
  compared: int
  f1: float | None
  tiou: float | None
  gold_done: int
  gold_f1: float | None
  seconds_median: Annotated[float | None, Meta(description="from the lease to the answer")]


class SpendOut(_Out):
  budget_cents: int | None
  reserved_cents: int
  paid_cents: int


class CurvePoint(_Out):
  round: int
  num_labeled: int
  num_instances: int
  map: float | None
  attention_ap: float | None


class CampaignOut(_Out):
  title: str
  classes: list[str]
  rounds: list[Round]
  queue: Queue
  stalled: Annotated[list[StalledTask], Meta(description=(
      "open tasks that no annotator with a valid link may take; at most 100"))]
  workers: list[WorkerOut]
  spend: SpendOut
  curve: list[CurvePoint]


class VideoRow(_Out):
  task_id: int
  video: str
  label: str
  round: int
  state: Literal["open", "leased", "agreed", "disputed", "adjudicated"]
  agreement: float | None
  num_segments: Annotated[int, Meta(description="of the final answer")]
  answers: int


class Videos(_Out):
  total: int
  videos: list[VideoRow]


class FinalSegmentOut(_Out):
  start: float
  end: float
  source: Literal["consensus", "adjudication"]
  agreement: float | None
  support: float | None


class GivenAnswer(_Out):
  worker: str
  segments: list[tuple[float, float]]
  comment: str
  submitted_at: float


class Event(_Out):
  at: float
  kind: str
  worker: str | None
  detail: dict[str, Any]


class TaskOut(_Out):
  task: Task
  state: Literal["open", "leased", "agreed", "disputed", "adjudicated"]
  agreement: float | None
  final: list[FinalSegmentOut]
  answers: list[GivenAnswer]
  events: list[Event]


class WorkerLink(_Out):
  id: int
  link: Annotated[str, Meta(description="with the token; it cannot be had again")]
