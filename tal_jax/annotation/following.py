"""Child processes that end when their parent does, however it ended.

The parent gives the child the reading end of a pipe and keeps the writing end open. The system
closes that when the parent dies, by kill -9 too; then the child kills itself.
"""

from __future__ import annotations

import os
import signal
import threading


def follow(pipe: int) -> None:
  """Kills this process once the other end of `pipe`, a file descriptor, is closed."""
  threading.Thread(target=_until_closed, args=(pipe,), daemon=True).start()


def _until_closed(pipe: int) -> None:
  while os.read(pipe, 4096):
    pass
  os.kill(os.getpid(), signal.SIGKILL)
