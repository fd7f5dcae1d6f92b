"""The campaign's web server: pages, videos, and the API that `openapi` describes.

A worker opens http://host:port/#TOKEN. What is behind the # never leaves the browser, so it is
in no log and no Referer; the page sends it as a bearer token with every request of the API. There
are no cookies.
"""

from __future__ import annotations

import contextlib
import functools
import pathlib
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from absl import logging

from tal_jax.annotation.campaign import Campaign
from tal_jax.annotation.errors import RequestError
from tal_jax.annotation.housekeeping import Board, Part, Trouble
from tal_jax.annotation.patience import passing
from tal_jax.annotation.rules.intended import Example
from tal_jax.annotation.web import (
  address,
  annotator_api as annotator,
  connections,
  crowd,
  guard,
  media,
  openapi,
  operations,
  operator_api as operator,
  own_answers,
  pools,
  tickets,
)
from tal_jax.annotation.web.messages import Error, Health
from tal_jax.errors import DataError

if TYPE_CHECKING:
  import uvicorn
  from starlette.applications import Starlette

OPERATIONS = annotator.OPERATIONS + own_answers.OPERATIONS + operator.OPERATIONS
_SAY_EVERY = 60.0  # seconds, of a fault that lasts
_LOOK_EVERY = 0.1  # seconds, whether it is time to serve again


class Program(NamedTuple):
  """What the pages ask of the program that they are part of."""

  # Whether no more rounds will come, asked when a worker finds no task.
  finished: Callable[[], bool] = lambda: False
  # What of the program is not done now, for the operators.
  troubles: Callable[[], Sequence[Trouble]] = lambda: ()


def build_app(campaign: Campaign, *, title: str, origin: str | None = None,
              suggestions: bool = False, examples: Mapping[str, Mapping[str, Any]] | None = None,
              program: Program | None = None, by_link_only: bool = True,
              crowd_origins: Sequence[str] = ()) -> Starlette:
  """The application of one campaign.

  Args:
    campaign: its store must stay open while the application runs.
    title: shown on the pages.
    origin: scheme://host[:port][/folder] under which the public reaches the server, where a proxy
      stands before it; without one, links name the host that the request named.
    suggestions: shows annotators the model's detections. They bias [a choice of the campaign].
    examples: class -> {"text", "segments", "duration"}, what an instance looks like; the last two
      may be missing.
    program: which the pages are part of; None: it never finishes, and has no troubles.
    by_link_only: whether nobody answers but annotators with a link, so that a task which none of
      them may take waits for the operator.
    crowd_origins: origins of a crowd whose workers come through /mturk, to which its page may
      hand the task back; none: there is no such page.

  Raises:
    DataError: starlette is not installed, an example of another form, or an origin that is none.
  """
  try:
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.middleware import Middleware
    from starlette.routing import Route
  except ImportError as error:
    raise DataError("the annotation server needs starlette, which is not installed: "
                    "pip install 'tal_jax[annotate]'") from error
  try:
    read = msgspec.convert(examples or {}, dict[str, Example])
  except msgspec.ValidationError as error:
    raise DataError(f"an example is {{text, segments, duration}}: {error}") from error
  public = None if origin is None else address.parse(origin)
  threads, program = pools.make(), program or Program()
  site = operations.Site(campaign, tickets.signing_key(campaign.store), title,
                         suggestions, read, program.finished, by_link_only, program.troubles)
  description = openapi.describe(OPERATIONS, title=title, crowd=bool(crowd_origins))
  routes = [
      Route("/", media.page_of("annotate.html"), methods=["GET"]),
      Route("/campaign", media.page_of("campaign.html"), methods=["GET"]),
      Route("/page/{file}", media.any_page, methods=["GET"]),
      Route("/media/{ticket}", media.video(site, threads.tickets), methods=["GET"]),
      Route("/healthz", _always(Health("ok")), methods=["GET"]),
      Route("/openapi.json", _always(description), methods=["GET"]),
      *(crowd.routes(site, threads.writes, crowd_origins, public.folder if public else "")
        if crowd_origins else ()),
      *(Route(o.path, operations.endpoint(o, site, public and str(public), threads),
              methods=[o.method]) for o in OPERATIONS),
  ]
  unavailable = _Unavailable(campaign.store.path.parent)
  app = Starlette(
      routes=routes, middleware=[Middleware(guard.Guard, **(public._asdict() if public else {}))],
      exception_handlers={RequestError: _refused, HTTPException: _no_such_route,
                          sqlite3.OperationalError: unavailable, OSError: unavailable,
                          DataError: unavailable})
  app.router.redirect_slashes = False  # the redirection would go wherever the Host header says
  return app


@contextlib.contextmanager
def running(app: Starlette, host: str = "127.0.0.1", port: int = 0,
            limits: connections.Limits | None = None, *,
            board: Board | None = None) -> Iterator[str]:
  """Serves in a thread and gives the base URL, without a slash at its end; stops at the exit.

  A server that ends before that is started again, at the same address.

  Args:
    app: from `build_app`.
    host, port: where; port 0: any that is free.
    limits: without them, those of `connections.limits`.
    board: is told what ended the server.

  Raises:
    DataError: the address cannot be had.
  """
  with _listening(host, port) as listener:
    service = _Service(app, limits or connections.limits(), listener)
    part = Part("serving the pages", service.serve, board or Board(logging.error), "")
    thread = threading.Thread(target=service.run, args=(part,), daemon=True)
    thread.start()
    try:
      while not service.begun:  # right before the first request is taken
        thread.join(0.005)
        if not thread.is_alive():
          raise RuntimeError("the server's thread ended before it served")
      yield _url(listener)
    finally:
      service.stop()
      thread.join()


class _Service:
  """Servers at one address, one after the other."""

  def __init__(self, app: Starlette, limits: connections.Limits, listener: socket.socket):
    self._make = functools.partial(_server, app, limits)
    self._listener = listener
    self._stopped = threading.Event()
    self._server, self._begun = self._make(), False

  @property
  def begun(self) -> bool:
    """Whether any of them has served."""
    return self._begun or self._server.started

  def serve(self) -> None:
    """Until `stop`. Raises what ended the server before that."""
    try:
      with self._listener.dup() as listener:  # a server closes what it is given
        self._server.run(sockets=[listener])
    except SystemExit as error:
      raise RuntimeError("the server gave up") from error
    finally:
      self._begun, self._server = self.begun, self._make()
      self._server.should_exit = self._stopped.is_set()
    if not self._stopped.is_set():
      raise RuntimeError("the server ended by itself")

  def run(self, part: Part) -> None:
    """The thread's work; ends at once where even the first one cannot serve."""
    while not self._stopped.is_set():
      part.step()
      if not self._begun:
        return
      self._stopped.wait(_LOOK_EVERY)

  def stop(self) -> None:
    self._stopped.set()
    self._server.should_exit = True


def _server(app, limits: connections.Limits) -> uvicorn.Server:
  try:
    return connections.server(app, limits)
  except ImportError as error:
    raise DataError("the annotation server needs uvicorn, which is not installed: "
                    "pip install 'tal_jax[annotate]'") from error


@contextlib.contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
  if not 0 <= port < 2**16:
    raise DataError(f"cannot serve at {host}:{port}: a port is a number below 65536, 0 for any")
  try:
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    listener = socket.create_server((host, port), family=family,
                                    backlog=connections.BACKLOG)
  except OSError as error:
    raise DataError(f"cannot serve at {host}:{port}: {error}; choose another host or port"
                    ) from error
  with listener:
    yield listener


def _url(listener: socket.socket) -> str:
  host, port = listener.getsockname()[:2]
  return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _json(content, status: int = 200, headers: Mapping[str, str] | None = None):
  from starlette.responses import Response

  return Response(msgspec.json.encode(content), status, media_type="application/json",
                  headers=headers)


def _always(content) -> Callable:
  """An endpoint that needs no thread."""
  async def answer(_):
    return _json(content)

  return answer


async def _refused(_, error: RequestError):
  more = {401: {"WWW-Authenticate": "Bearer"}, 413: {"Connection": "close"}}
  return _json(Error(str(error)), error.status, more.get(error.status))


async def _no_such_route(_, error):
  return _json(Error(error.detail), error.status_code, error.headers)


class _Unavailable:
  """Answers where the machine cannot do what was asked now, and logs why, once a minute."""

  def __init__(self, folder: pathlib.Path):
    self._folder = folder
    self._said: dict[str, float] = {}  # when

  async def __call__(self, request, error: Exception):
    trouble = passing(error, self._folder)
    if trouble is None:
      raise error  # a fault of ours
    if time.monotonic() >= self._said.get(trouble, -_SAY_EVERY) + _SAY_EVERY:
      self._said = {trouble: time.monotonic()}
      logging.error("%s (%s: %s); requests are refused until it passes", trouble, request.method,
                    error)
    return _json(Error("the campaign's database is busy, or its disk full; nothing was stored: "
                       "try again"), 503, {"Retry-After": "5"})
