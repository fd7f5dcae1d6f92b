"""Tickets for videos: a URL that one worker can play one video with, for some hours.

A <video> element cannot send an Authorization header, so its URL carries the permission: worker,
video and the end of validity, authenticated with HMAC-SHA256 under a key that only this campaign's
database has. Nothing in it can be turned into a path.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import struct
from typing import NamedTuple

from tal_jax.annotation import store
from tal_jax.annotation.errors import Forbidden

_FIELDS = struct.Struct(">QQQ")
_WELL_FORMED = re.compile(r"[A-Za-z0-9_-]{75}")  # 24 + 32 bytes in base64
_PERIOD = 6 * 3600  # seconds


class Ticket(NamedTuple):
  worker_id: int
  video_id: int
  expires_at: int  # seconds since the epoch


def signing_key(campaign_store: store.Store) -> bytes:
  """The campaign's key, made when first asked for."""
  with campaign_store.write() as db:
    return store.signing_key(db, "media tickets")


def issue(key: bytes, worker_id: int, video_id: int, now: float) -> str:
  """A ticket good for 6 to 12 hours: the same for a while, so that browsers can cache the video."""
  fields = _FIELDS.pack(worker_id, video_id, (int(now) // _PERIOD + 2) * _PERIOD)
  signed = fields + hmac.digest(key, fields, hashlib.sha256)
  return base64.urlsafe_b64encode(signed).rstrip(b"=").decode()


def check(key: bytes, ticket: str, now: float) -> Ticket:
  """What the ticket permits. Raises Forbidden: malformed, of another campaign, or expired."""
  if _WELL_FORMED.fullmatch(ticket):
    signed = base64.urlsafe_b64decode(ticket + "=")
    fields, mac = signed[:_FIELDS.size], signed[_FIELDS.size:]
    if hmac.compare_digest(mac, hmac.digest(key, fields, hashlib.sha256)):
      read = Ticket(*_FIELDS.unpack(fields))
      if now < read.expires_at:
        return read
  raise Forbidden("this video's address is not valid, or no longer: load the task again")
