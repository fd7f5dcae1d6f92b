"""What the server sends from files: the pages, and videos by ticket.

No part of a URL ever becomes part of a path: a page is looked up among the files of the package's
folder, a video in the database. Pages are kept in memory: they need neither a thread nor a file.
"""

from __future__ import annotations

import functools
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from tal_jax.annotation.errors import Forbidden, NotFound
from tal_jax.annotation.web import tickets
from tal_jax.annotation.web.operations import Site
from tal_jax.annotation.web.pools import Pool

if TYPE_CHECKING:
  from starlette.requests import Request
  from starlette.responses import Response

PAGES = pathlib.Path(__file__).parent / "page"
_PAGE_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css",
               ".svg": "image/svg+xml"}
_VIDEO_TYPES = {".mp4": "video/mp4", ".m4v": "video/mp4", ".webm": "video/webm",
                ".ogv": "video/ogg", ".mov": "video/quicktime", ".mkv": "video/x-matroska"}


@functools.cache
def _pages() -> Mapping[str, bytes]:
  return {file.name: file.read_bytes() for file in PAGES.iterdir() if file.suffix in _PAGE_TYPES}


def page(name: str, headers: dict[str, str] | None = None) -> Response:
  """A file of the package's folder of pages. Raises NotFound."""
  from starlette.responses import Response

  if name not in _pages():
    raise NotFound("no such page")
  return Response(_pages()[name], media_type=_PAGE_TYPES[pathlib.PurePath(name).suffix],
                  headers={"Cache-Control": "no-cache"} | (headers or {}))


def page_of(name: str, headers: dict[str, str] | None = None) -> Callable:
  """The endpoint of that page."""
  _pages()  # read before anybody asks

  async def send(_: Request) -> Response:
    return page(name, headers)

  return send


async def any_page(request: Request) -> Response:
  """The endpoint of /page/{file}."""
  return page(request.path_params["file"])


def video(site: Site, threads: Pool) -> Callable:
  """The endpoint of /media/{ticket}: whole or in ranges (206, 416).

  Refuses with 403 a ticket that is malformed, expired, of another campaign, or of a worker whose
  link was revoked; with 404 a video whose file is gone.
  """
  from starlette.concurrency import run_in_threadpool
  from starlette.responses import FileResponse

  def find(ticket: tickets.Ticket) -> pathlib.Path | None:
    with site.campaign.store.read() as db:
      if not db.execute("SELECT 1 FROM workers WHERE id = ? AND token_revoked_at IS NULL",
                        (ticket.worker_id,)).fetchone():
        raise Forbidden("the link that this address belongs to is not valid any more")
      row = db.execute("SELECT media_path FROM videos WHERE id = ?",
                       (ticket.video_id,)).fetchone()
    return pathlib.Path(row["media_path"]) if row else None

  async def send(request: Request) -> Response:
    file = await threads.run(find, tickets.check(
        site.key, request.path_params["ticket"], site.campaign.clock()))
    looked_at = None if file is None else await run_in_threadpool(_look, file)
    if looked_at is None:
      raise NotFound("the video's file is not there")
    return FileResponse(
        file, stat_result=looked_at, headers={"Cache-Control": "private, max-age=3600"},
        media_type=_VIDEO_TYPES.get(file.suffix.lower(), "application/octet-stream"))

  return send


def _look(file: pathlib.Path) -> os.stat_result | None:
  """None without a file that can be read; an answer that was begun could not say so any more."""
  try:
    if file.is_file():
      with file.open("rb") as opened:
        return os.fstat(opened.fileno())
  except (FileNotFoundError, PermissionError):
    pass
  return None
