"""What a campaign and the process of its learner say to each other, pickled, through two pipes.

A `Job` to the learner; from it BEGUN, once the first round is open, and at last FINISHED or a
`Failure`.
"""

from __future__ import annotations

import pathlib
from typing import Any, NamedTuple

BEGUN, FINISHED = "begun", "finished"


class Job(NamedTuple):
  config: Any  # ConfigDict, from `setup.checked`
  setup: Any  # annotate_setup.Setup
  folder: pathlib.Path  # the work directory
  verbosity: int  # of the log


class Failure(NamedTuple):
  line: str  # what went wrong
  passes: bool  # a fault of the machine that may pass: a full disk, a locked database
  error: Exception | None  # of the user's files or settings
