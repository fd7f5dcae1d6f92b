"""What the server answers: the bodies of all responses; `requests` has what it takes.

Each type is both the encoder and the schema in `openapi`. Times of a video are seconds from its
start; `*_at` are seconds since the epoch. A number that is not known yet is null.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from tal_jax.annotation.rules.intended import Example

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
  answered: Annotated[int, Meta(description="videos of which this worker answered a class")]
  left: Annotated[int, Meta(description="other videos that may be offered to this worker now")]


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
  sound: Annotated[bool, Meta(description="whether a browser plays sound with it")]


class DraftOut(_Out):
  revision: int
  body: str


class Lane(_Out):
  """What a task asks for: all instances of the class in the video."""

  id: Annotated[int, Meta(description="of the task")]
  label: str
  instructions: str
  example: Example | None
  hint: Annotated[tuple[float, float] | None, Meta(description="where the action is known to be")]
  suggestions: Annotated[list[Suggestion], Meta(description="empty unless the campaign shows them")]


class Task(Lane):
  video: VideoOut
  max_segments: Annotated[int, Meta(description="of one answer")]


class LeasedTask(Task):
  """The first task of the visit that the worker is at, and `lanes`, all tasks of the visit."""

  lanes: Annotated[list[Lane], Meta(description=(
      "the classes of the video that are asked for at once, the task's own first"))]
  draft: DraftOut | None
  expires_at: float
  seconds_left: float


class Next(_Out):
  task: LeasedTask | None
  reason: Annotated[Literal["", "nothing", "stopped", "finished"], Meta(description=(
      "why there is no task; nothing: ask again in retry_seconds"))]
  retry_seconds: float
  waiting: Annotated[Literal[
      "", "learner", "down", "videos", "others", "answered", "operator"], Meta(description=(
          "what for, where the reason is nothing: the learner, which may be down; videos that are "
          "being made ready; tasks that others are at; others who have yet to answer what this "
          "worker has answered; an operator"))] = ""


class LeaseOut(_Out):
  expires_at: float
  seconds_left: float


class Kept(_Out):
  kept: Annotated[bool, Meta(description="false: a draft of the same or a later revision is there")]


class ReceiptOut(_Out):
  assignment_id: int
  replayed: Annotated[bool, Meta(description="the answer was stored before")]


class OwnAnswer(_Out):
  """The last version of an answer."""

  task_id: int
  video: str
  label: str
  segments: list[tuple[float, float]]
  comment: str
  unusable: Annotated[str, Meta(description="why the video cannot be judged; empty: it can")]
  at: float
  version: Annotated[int, Meta(description="1: as it was submitted")]


class OwnAnswers(_Out):
  answers: list[OwnAnswer]


class OwnAnswerTask(_Out):
  task: Task
  answer: OwnAnswer


class Corrected(_Out):
  replayed: Annotated[bool, Meta(description="the correction was stored before")]


class Undone(_Out):
  tasks: Annotated[list[int], Meta(description="that the worker is at again")]


class Round(_Out):
  number: int
  state: Literal["open", "complete", "trained"]
  tasks: Annotated[int, Meta(description="of videos that were not left out")]
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
  missing: Annotated[int, Meta(description="people, beyond those who can still answer it")]


class WorkerOut(_Out):
  id: int
  name: str
  role: Literal["annotator", "operator"]
  state: Literal["qualifying", "working", "stopped", "revoked", "expired"]
  left_out: Annotated[bool, Meta(description="an operator left their answers out")]
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


class PaceOut(_Out):
  labelled: Annotated[int, Meta(description="videos")]
  planned: Annotated[int | None, Meta(description="videos that are to be labelled")]
  excluded: int
  seconds_left: Annotated[float | None, Meta(description="at the present pace")]
  finished: Annotated[bool, Meta(description="no more rounds will come")]


class ExcludedOut(_Out):
  video_id: int
  video: str
  reason: str
  source: Literal["operator", "annotators", "program"]
  at: float


class LearnerOut(_Out):
  """The learner's process, where the server looks after it."""

  state: Annotated[Literal["running", "restarting", "down", "finished"], Meta(description=(
      "down: it failed too often in a row, and is tried again every ten minutes"))]
  failures: Annotated[int, Meta(description="in a row")]
  error: Annotated[str, Meta(description="the last one, while it does not run")]
  at: float


class PreparingOut(_Out):
  videos: Annotated[int, Meta(description="asked for, which browsers cannot play yet")]
  problem: Annotated[str, Meta(description="why one of them is late, if that is known")]


class TroubleOut(_Out):
  """Something that the program does every few seconds, and now cannot."""

  part: str
  error: str
  passes: Annotated[bool, Meta(description=(
      "a fault of the machine, such as a full disk; false: an error of the program"))]
  failures: Annotated[int, Meta(description="in a row")]
  since: float
  retry_seconds: Annotated[float, Meta(description="to the next try")]


class CampaignOut(_Out):
  title: str
  classes: list[str]
  troubles: Annotated[list[TroubleOut], Meta(description="tried again by themselves")]
  learner: LearnerOut | None
  preparing: PreparingOut
  rounds: list[Round]
  queue: Queue
  pace: PaceOut
  excluded: Annotated[list[ExcludedOut], Meta(description="the last ones first; at most 100")]
  stalled: Annotated[list[StalledTask], Meta(description=(
      "undecided tasks that want more people than can still answer them; at most 100"))]
  workers: list[WorkerOut]
  spend: SpendOut
  curve: list[CurvePoint]


class VideoRow(_Out):
  task_id: int
  video_id: int
  video: str
  label: str
  round: int
  state: Literal["open", "leased", "agreed", "disputed", "adjudicated", "excluded"]
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
  submitted_at: Annotated[float, Meta(description="of this version")]
  unusable: Annotated[str, Meta(description="why the video cannot be judged; empty: it can")]
  version: int
  counts: Annotated[bool, Meta(description="false: its worker is stopped, or took it back")]
  agrees: Annotated[bool, Meta(description="is among the largest set of answers that agree")]


class Event(_Out):
  at: float
  kind: str
  worker: str | None
  detail: dict[str, Any]


class TaskOut(_Out):
  task: Task
  video_id: int
  state: Literal["open", "leased", "agreed", "disputed", "adjudicated", "excluded"]
  wanted: Annotated[int, Meta(description="answers")]
  agreement: float | None
  final: list[FinalSegmentOut]
  agreed: Annotated[list[tuple[float, float]], Meta(description=(
      "the merge of the answers that agree, to start from; empty too where none do"))]
  excluded: Annotated[str, Meta(description="why the video is excluded; empty: it is not")]
  answers: list[GivenAnswer]
  events: list[Event]


class LeftOutOut(_Out):
  """What came of the decided tasks that the worker had answered."""

  merged: Annotated[int, Meta(description="again, from the others' answers")]
  asked: Annotated[int, Meta(description="again, of annotators")]


class RemarkOut(_Out):
  at: float
  kind: Literal["answer", "unusable", "skip"]
  task_id: int
  video: str
  label: str
  worker_id: int
  worker: str
  reason: str
  comment: str


class Remarks(_Out):
  total: int
  remarks: list[RemarkOut]


class WorkerLink(_Out):
  id: int
  link: Annotated[str, Meta(description="with the token; it cannot be had again")]
