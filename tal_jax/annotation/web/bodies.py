"""Bodies of requests: read up to the guard's limit, and decoded by type."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tal_jax.annotation.errors import InvalidAnswer, RequestError

if TYPE_CHECKING:
  from starlette.requests import Request


class BadRequest(RequestError):
  """Not JSON, or not all there."""

  status = 400


class UnsupportedMediaType(RequestError):
  """A body that does not say it is JSON."""

  status = 415


async def read(request: Request) -> bytes:
  """The whole body. Raises BadRequest if the client went away; BodyTooLarge comes from `Guard`."""
  from starlette.requests import ClientDisconnect

  try:
    return await request.body()
  except ClientDisconnect:
    raise BadRequest("the connection ended before the body did") from None


def decode(raw: bytes, content_type: str, to: type[msgspec.Struct] | None):
  """The body as the type that the operation takes; None for one that takes nothing.

  Raises:
    BadRequest: not JSON in UTF-8, or a body where none is taken.
    UnsupportedMediaType: not declared as JSON.
    InvalidAnswer: JSON of another form.
  """
  if to is None:
    if raw not in (b"", b"{}"):
      raise BadRequest("this request takes no body")
    return None
  if content_type.split(";")[0].strip().lower() != "application/json":
    raise UnsupportedMediaType("the body must be application/json")
  try:
    given = msgspec.json.decode(raw)
  except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
    raise BadRequest(f"the body is not JSON in UTF-8: {error}") from None
  try:
    return msgspec.convert(given, to)
  except msgspec.ValidationError as error:
    raise InvalidAnswer(str(error)) from None
