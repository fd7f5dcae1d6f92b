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
from tal_jax.annotation.web import address
from tal_jax.annotation.web.messages import Error
from tal_jax.errors import DataError

MAX_BODY = 256 * 1024  # bytes
_MOST_TOLD = 5  # foreign origins that the log names
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

  def __init__(self, app, *, origin: str | None = None, folder: str = "",
               max_body: int = MAX_BODY):
    """`origin`, `folder`: the parts of the public address, if a proxy is in front of the server."""
    self._app = app
    self._origin = origin
    self._folder = folder
    self._max_body = max_body
    self._told: set[str] = set()  # origins that the log has

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
      if self._folder and scope["path"] == self._folder:
        await _lead_inside(guarded_send, self._folder)
      else:
        await self._app(self._inside(scope), guarded_receive, guarded_send)
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
        raise Forbidden(self._foreign(value.decode("latin-1"), own_origin(scope)))
      # The HTTP parser has checked that it is a number.
      if name == b"content-length" and int(value) > self._max_body:
        raise BodyTooLarge(self._max_body)


  def _inside(self, scope):
    """The request as the routes know it, where the proxy left the folder in its path."""
    path = scope["path"]
    if not (self._folder and path.startswith(self._folder + "/")):
      return scope
    return {**scope, "path": path[len(self._folder):]}

  def _foreign(self, given: str, own: str) -> str:
    """What to say to a page of another origin; the log has it once, for the operator."""
    text = "a page of another site sent this request"
    try:
      origin = address.parse(given).origin
    except DataError:
      return text
    text += (f": {origin}, and this server knows itself as {self._origin or own}. If people reach "
             f"it as {origin}, whoever runs the campaign sets campaign.address: start it again "
             f"with --config.campaign.address={origin}{self._folder}")
    if origin not in self._told and len(self._told) < _MOST_TOLD:
      self._told.add(origin)
      logging.warning("refused: %s", text)
    return text


def _template(scope) -> str:
  """The route without what the client put in (a ticket is a secret)."""
  return getattr(scope.get("route"), "path", "no route")


async def _lead_inside(send, folder: str) -> None:
  """Addresses in the pages count from the folder, whose own address ends with a slash."""
  await send({"type": "http.response.start", "status": 307, "headers": [
      (b"location", f"{folder}/".encode()), (b"content-length", b"0")]})
  await send({"type": "http.response.body", "body": b""})


async def _refuse(send, status: int, text: str) -> None:
  body = error_body(text)
  # What is left of the request's body would be read as the next request.
  await send({"type": "http.response.start", "status": status, "headers": [
      (b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()),
      (b"connection", b"close")]})
  await send({"type": "http.response.body", "body": body})
