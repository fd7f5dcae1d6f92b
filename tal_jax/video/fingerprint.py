"""What tells that a file is still the one that was looked at."""

from __future__ import annotations

import os
import pathlib
from typing import Any


def fingerprint(path: str | os.PathLike) -> dict[str, Any]:
  """Name, size in bytes and time of change of a file: enough to see that it is the same."""
  status = os.stat(path)
  return {"name": pathlib.Path(path).name, "size": status.st_size, "mtime_ns": status.st_mtime_ns}
