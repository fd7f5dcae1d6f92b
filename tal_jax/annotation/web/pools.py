"""Threads for what blocks, in pools of their own, so that nobody waits for another kind of work.

While a program beside the server keeps the database locked, all threads of the writers wait; who
reads, loads a page or plays a video is served as ever.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent import futures
from typing import NamedTuple, TypeVar

from tal_jax.annotation import store

_T = TypeVar("_T")


class Pool:
  """So many threads; a call that waits for one too long is given up."""

  def __init__(self, name: str, threads: int):
    self._threads = futures.ThreadPoolExecutor(threads, thread_name_prefix=name)

  async def run(self, function: Callable[..., _T], *args) -> _T:
    """What the function returns, called in a thread.

    It may wait `store.WAIT_SECONDS` for a thread and for the database together. Raises
    sqlite3.OperationalError with SQLITE_BUSY where that was not enough.
    """
    until = time.monotonic() + store.WAIT_SECONDS

    def carry_out() -> _T:
      with store.deadline(until):
        return function(*args)

    call = self._threads.submit(carry_out)
    result = asyncio.wrap_future(call)
    await asyncio.wait([result], timeout=store.WAIT_SECONDS)
    if not result.done() and call.cancel():  # it has not begun
      raise store.busy("too many requests wait for it")
    return await result


class Pools(NamedTuple):
  """Of one application. Files are read in Starlette's own threads."""

  writes: Pool
  reads: Pool
  tickets: Pool  # who may play a video


def make() -> Pools:
  return Pools(Pool("writes", 4), Pool("reads", 8), Pool("tickets", 4))
