"""What holds for every request and every answer of the server, whatever the route.

- An unsafe request that a page of another origin sent is refused (403). There are no cookies, so
  such a page could not act for anyone anyway; this is the second lock.
- A body above the limit is refused (413): by its Content-Length before anything is read, without
  one (chunked) as soon as too much has come.
- Answers carry a Content-Security-Policy that forbids inline scripts, foreign sources and frames.
- A fault of ours is logged with its traceback and answered with 500 and no detail.
"""

from __future__ import annotations

import msgspec
from absl import logging

from tal_jax.annotation.errors import Forbidden, RequestError
from tal_jax.annotation.web.messages import Error

MAX_BODY = 256 * 1024  # bytes
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class BodyTooLarge(RequestError):
  status = 413

  def __init__(self, most: int):
    super().__init__(f"a request may have {most} bytes at most")


def policy(frame_ancestors: str = "'none'", form_action: str = "'self'") -> str:
  """The Content-Security-Policy of a page that only these may frame and be posted to."""
  return ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
          "media-src 'self'; connect-src 'self'; base-uri 'none'; "
          f"form-action {form_action}; frame-ancestors {frame_ancestors}")


_HEADERS = {
    b"content-security-policy": policy().encode(),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
    b"cache-control": b"no-store",  # unless the route says otherwise
}


def own_origin(scope) -> str:
  """scheme://host[:port] as the client called this server."""
  host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
  if not host:
    host = "{}:{}".format(*scope["server"])
  return f"{scope['scheme']}://{host}"


def error_body(text: str) -> bytes:
  return msgspec.json.encode(Error(text))


class Guard:
  """ASGI middleware around the whole application."""

  def __init__(self, app, *, origin: str | None = None, max_body: int = MAX_BODY):
    """`origin`: under which the public reaches the server, if a proxy stands before it."""
    self._app = app
    self._origin = origin
    self._max_body = max_body

  async def __call__(self, scope, receive, send):
    if scope["type"] != "http":
      await self._app(scope, receive, send)
      return
    started = False
    received = 0

    async def guarded_receive():
      nonlocal received
      message = await receive()
      received += len(message.get("body", b""))
      if received > self._max_body:
        raise BodyTooLarge(self._max_body)
      return message

    async def guarded_send(message):
      nonlocal started
      if message["type"] == "http.response.start":
        started = True
        present = {name.lower() for name, _ in message["headers"]}
        more = [(k, v) for k, v in _HEADERS.items() if k not in present]
        message = {**message, "headers": [*message["headers"], *more]}
      await send(message)

    try:
      self._check(scope)
      await self._app(scope, guarded_receive, guarded_send)
    except Exception as error:
      if started:
        raise
      if isinstance(error, RequestError):
        await _refuse(guarded_send, error.status, str(error))
      else:
        logging.exception("%s %s failed", scope["method"], _template(scope))
        await _refuse(guarded_send, 500, "the server made a mistake; nothing was stored")

  def _check(self, scope) -> None:
    allowed = (own_origin(scope), self._origin)
    for name, value in scope["headers"]:
      if name == b"origin" and scope["method"] not in SAFE and (
          value.decode("latin-1") not in allowed):
        raise Forbidden("a page of another site sent this request")
      # The HTTP parser has checked that it is a number.
      if name == b"content-length" and int(value) > self._max_body:
        raise BodyTooLarge(self._max_body)


def _template(scope) -> str:
  """The route without what the client put in (a ticket is a secret)."""
  return getattr(scope.get("route"), "path", "no route")


async def _refuse(send, status: int, text: str) -> None:
  body = error_body(text)
  # What is left of the request's body would be read as the next request.
  await send({"type": "http.response.start", "status": status, "headers": [
      (b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()),
      (b"connection", b"close")]})
  await send({"type": "http.response.body", "body": body})
