"""What an operation of the API is, and how any of them is carried out.

The order of refusals: a body too large or a page of another site (`guard`), then 401 (token),
403 (role), 404 (path), 422 (query), 415 and 400 and 422 (body), then what the campaign says. None
of them changes anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from tal_jax.annotation.campaign import Campaign
from tal_jax.annotation.errors import (
  Forbidden,
  InvalidAnswer,
  NotFound,
  RequestError,
  Unauthorized,
)
from tal_jax.annotation.housekeeping import Trouble
from tal_jax.annotation.rules.intended import Example
from tal_jax.annotation.web import bodies
from tal_jax.annotation.web.pools import Pools
from tal_jax.annotation.workers import Worker, authenticate

if TYPE_CHECKING:
  from starlette.requests import Request
  from starlette.responses import Response

_BEARER = re.compile(r"[Bb]earer +([A-Za-z0-9._~+/=-]{1,200})")
_DIGITS = re.compile(r"[0-9]{1,16}")


class Site(NamedTuple):
  """What all operations know."""

  campaign: Campaign
  key: bytes  # of media tickets
  title: str
  suggestions: bool  # whether annotators see the model's detections
  examples: Mapping[str, Example]  # by class
  finished: Callable[[], bool]  # no more rounds will come
  by_link_only: bool  # whether nobody answers but annotators with a link
  troubles: Callable[[], Sequence[Trouble]]  # what of the program is not done now


class Call(NamedTuple):
  """One request, checked."""

  site: Site
  worker: Worker
  origin: str  # of the server, as links should name it
  path: Any  # of the operation's types, or None
  query: Any
  body: Any

  @property
  def campaign(self) -> Campaign:
    return self.site.campaign


class Attachment(NamedTuple):
  """An answer that is a file."""

  content: bytes
  media_type: str
  filename: str


class Operation(NamedTuple):
  """One method of one path; `openapi` describes it, `endpoint` carries it out."""

  method: str
  path: str
  summary: str
  handler: Callable[[Call], msgspec.Struct | Attachment]
  answer: type[msgspec.Struct] | tuple[str, ...]  # a body, or the media types of a file
  role: str = "annotator"  # operators may do all that annotators may
  path_type: type[msgspec.Struct] | None = None
  query_type: type[msgspec.Struct] | None = None
  body_type: type[msgspec.Struct] | None = None
  refusals: tuple[int, ...] = ()  # of the handler; the common ones go without saying


def endpoint(operation: Operation, site: Site, origin: str | None, threads: Pools) -> Callable:
  """An asynchronous endpoint; what touches the database, which blocks, runs in a thread."""
  from tal_jax.annotation.web.guard import SAFE, own_origin

  pool = threads.reads if operation.method in SAFE else threads.writes

  async def answer(request: Request) -> Response:
    raw = await bodies.read(request)
    return await pool.run(
        _carry_out, operation, site, request, raw, origin or own_origin(request.scope))

  return answer


def worker_of(request: Request, campaign: Campaign) -> Worker:
  """Who sent the request. Raises Unauthorized."""
  token = _BEARER.fullmatch(request.headers.get("authorization", ""))
  if token is None:
    raise Unauthorized("an Authorization: Bearer header with the token of your link is missing")
  with campaign.store.read() as db:
    return authenticate(db, token[1], now=campaign.clock())


def _carry_out(operation: Operation, site: Site, request: Request, raw: bytes,
               origin: str) -> Response:
  from starlette.responses import Response

  worker = worker_of(request, site.campaign)
  if operation.role == "operator" and worker.role != "operator":
    raise Forbidden("only an operator may do this")
  path = _convert(request.path_params, operation.path_type, NotFound)
  query = _convert(request.query_params, operation.query_type, InvalidAnswer)
  body = bodies.decode(raw, request.headers.get("content-type", ""), operation.body_type)
  answer = operation.handler(Call(site, worker, origin, path, query, body))
  if isinstance(answer, Attachment):
    return Response(answer.content, media_type=answer.media_type, headers={
        "Content-Disposition": f'attachment; filename="{answer.filename}"'})
  return Response(msgspec.json.encode(answer), media_type="application/json")


def _convert(given: Mapping[str, str], to: type[msgspec.Struct] | None,
             refusal: type[RequestError]):
  """What is in a URL as the operation's type; numbers are plain digits."""
  if to is None:
    return None
  values: dict[str, Any] = dict(given)
  for field in msgspec.structs.fields(to):
    if getattr(field.type, "__origin__", None) is int and _DIGITS.fullmatch(
        values.get(field.name, "")):
      values[field.name] = int(values[field.name])
  try:
    return msgspec.convert(values, to)
  except msgspec.ValidationError as error:
    raise refusal(str(error)) from None
