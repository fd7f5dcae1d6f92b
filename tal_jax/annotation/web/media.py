"""What the server sends from files: the pages, and videos by ticket.

No part of a URL ever becomes part of a path: a page is looked up among the files of the package's
folder, a video in the database.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from tal_jax.annotation.errors import Forbidden, NotFound
from tal_jax.annotation.web import tickets
from tal_jax.annotation.web.operations import Site

if TYPE_CHECKING:
  from starlette.requests import Request
  from starlette.responses import Response

PAGES = pathlib.Path(__file__).parent / "page"
_PAGE_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css",
               ".svg": "image/svg+xml"}
_VIDEO_TYPES = {".mp4": "video/mp4", ".m4v": "video/mp4", ".webm": "video/webm",
                ".ogv": "video/ogg", ".mov": "video/quicktime", ".mkv": "video/x-matroska"}


def page(name: str, headers: dict[str, str] | None = None) -> Response:
  """A file of the package's folder of pages. Raises NotFound."""
  from starlette.responses import FileResponse

  for file in PAGES.glob("*"):
    if file.name == name and file.suffix in _PAGE_TYPES:
      return FileResponse(file, media_type=_PAGE_TYPES[file.suffix],
                          headers={"Cache-Control": "no-cache"} | (headers or {}))
  raise NotFound("no such page")


def video(site: Site) -> Callable[[Request], Response]:
  """The endpoint of /media/{ticket}: whole or in ranges (206, 416).

  Refuses with 403 a ticket that is malformed, expired, of another campaign, or of a worker whose
  link was revoked; with 404 a video whose file is gone.
  """
  from starlette.responses import FileResponse

  def send(request: Request) -> Response:
    ticket = tickets.check(site.key, request.path_params["ticket"], site.campaign.clock())
    with site.campaign.store.read() as db:
      if not db.execute("SELECT 1 FROM workers WHERE id = ? AND token_revoked_at IS NULL",
                        (ticket.worker_id,)).fetchone():
        raise Forbidden("the link that this address belongs to is not valid any more")
      row = db.execute("SELECT media_path FROM videos WHERE id = ?",
                       (ticket.video_id,)).fetchone()
    file = pathlib.Path(row["media_path"]) if row else None
    if file is None or not file.is_file():
      raise NotFound("the video's file is not there")
    return FileResponse(
        file, stat_result=file.stat(), headers={"Cache-Control": "private, max-age=3600"},
        media_type=_VIDEO_TYPES.get(file.suffix.lower(), "application/octet-stream"))

  return send
