"""How many connections there may be, and how long each may keep the server waiting.

uvicorn ends a connection that is idle between two requests. What is here ends one that begins a
request and does not go on, or that asks for something and does not take it. When there are too
many, the one that has kept the server waiting longest for a request goes; when there is none, the
new one is told to come again.
"""

from __future__ import annotations

import asyncio
import errno
import http
import resource
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from absl import logging

from tal_jax.annotation.web.messages import Error

if TYPE_CHECKING:
  import uvicorn

BACKLOG = 100  # connections that the system takes for the server until it looks
_MOST = 1000
_RESERVED = 200  # open files for the database, the learner, and connections that are turned away
_FILES = 2  # of a connection: itself, and the video that it plays
_LEAST = 16
_STOP_SECONDS = 5  # for requests under way, when the server is told to stop
_OUT_OF = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_SAY_EVERY = 60.0  # seconds


class Limits(NamedTuple):
  connections: int
  head: float = 15.0  # seconds from the connection, or the last answer, to the end of a head
  body: float = 60.0  # seconds from the end of the head to that of the body
  taking: float = 300.0  # seconds in which a client takes nothing of an answer


def allow_more() -> None:
  """Lets this process open as many files as `limits` can use, where the system permits it."""
  soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
  wanted = _RESERVED + _FILES * _MOST
  if hard != resource.RLIM_INFINITY:
    wanted = min(wanted, hard)
  if soft != resource.RLIM_INFINITY and soft < wanted:
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def limits() -> Limits:
  """What this process can bear: the system allows it so many open files."""
  files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
  if files == resource.RLIM_INFINITY:
    return Limits(_MOST)
  return Limits(min(_MOST, max((files - _RESERVED) // _FILES, _LEAST)))


def server(app: Any, bounds: Limits) -> uvicorn.Server:
  """A server for `run(sockets=...)` that keeps to these bounds. Raises ImportError.

  It runs on asyncio's own loop: others differ in what they do without open files.
  """
  import uvicorn

  class Server(uvicorn.Server):
    async def startup(self, sockets=None) -> None:
      asyncio.get_running_loop().set_exception_handler(_LoopFaults())
      await super().startup(sockets=sockets)

  return Server(uvicorn.Config(
      app, http=_protocol(bounds), loop="asyncio", ws="none", lifespan="off", access_log=False,
      server_header=False, proxy_headers=False, log_config=None, backlog=BACKLOG,
      timeout_graceful_shutdown=_STOP_SECONDS))


def _protocol(bounds: Limits) -> type[asyncio.Protocol]:
  """uvicorn's protocol, with a clock on all that a client has to do."""
  import h11
  from uvicorn.protocols.http.h11_impl import H11Protocol

  without_request: dict[asyncio.Protocol, None] = {}  # those waited for, the longest first

  class Bounded(H11Protocol):
    _awaited = ""  # what the client has to do: a field of Limits, or nothing
    _clock: asyncio.TimerHandle | None = None

    def connection_made(self, transport) -> None:
      super().connection_made(transport)
      if len(self.connections) > bounds.connections:
        if not without_request:
          transport.write(_answer(503, "too many connections: try again"))
          transport.close()
        else:
          next(iter(without_request)).end()
      self._watch()

    def connection_lost(self, exc) -> None:
      self._await("")
      super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
      super().data_received(data)
      self._watch()

    def on_response_complete(self) -> None:
      super().on_response_complete()
      self._watch()

    def pause_writing(self) -> None:
      super().pause_writing()
      self._watch()

    def resume_writing(self) -> None:
      super().resume_writing()
      self._watch()

    def end(self) -> None:
      self._await("")
      self.transport.abort()

    def _watch(self) -> None:
      if self.transport.is_closing() or self.flow.write_paused:
        self._await("taking")
      elif self.conn.their_state is h11.SEND_BODY:
        self._await("body")
      elif self.conn.their_state is h11.IDLE and (
          self.cycle is None or self.cycle.response_complete):
        self._await("head")
      else:
        self._await("")

    def _await(self, what: str) -> None:
      if what == self._awaited:
        return
      self._awaited = what
      without_request.pop(self, None)
      if self._clock is not None:
        self._clock.cancel()
      if what == "head":
        without_request[self] = None
      self._clock = self.loop.call_later(getattr(bounds, what), self._late) if what else None

    def _late(self) -> None:
      if self._awaited == "taking":
        self.end()
        return
      if not self.transport.is_closing():
        begun = self.conn.trailing_data[0] if self._awaited == "head" else (
            not self.cycle.response_started)
        if begun:  # a browser that only connected, to be quicker later, asked for nothing
          self.transport.write(_answer(408, "the request did not come to its end in time"))
        self.transport.close()
      self._await("taking")

  return Bounded


def _answer(status: int, text: str) -> bytes:
  """An answer outside of any request, with which the connection ends."""
  body = msgspec.json.encode(Error(text))
  return (f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}\r\nContent-Type: application/json"
          f"\r\nContent-Length: {len(body)}\r\nRetry-After: 5\r\nConnection: close\r\n\r\n"
          ).encode() + body


class _LoopFaults:
  """Says once a minute that no more connections can be taken; asyncio tries again every second."""

  def __init__(self):
    self._said = -_SAY_EVERY

  def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    if not (isinstance(error, OSError) and error.errno in _OUT_OF):
      loop.default_exception_handler(context)
    elif time.monotonic() >= self._said + _SAY_EVERY:
      self._said = time.monotonic()
      logging.error("new connections wait: %s", error.strerror)
