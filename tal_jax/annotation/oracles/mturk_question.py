"""The address that a HIT shows to workers, and how it proves to be ours.

An ExternalQuestion makes Amazon frame an address of our server and add who the worker is
[note on annotation, Sec. 3]. The address names the HIT by its request token, with a MAC under a
key that only this campaign's database has: nobody can make up a HIT, or turn one into another.

What this cannot do: Amazon does not sign what it adds. Someone who was shown a HIT can claim to be
another worker. No money depends on it: who is paid follows from Amazon's own list.
"""

from __future__ import annotations

import hashlib
import hmac
import sqlite3
import urllib.parse
from xml.sax import saxutils

from tal_jax.annotation import store

_SCHEMA = ("http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas/2006-07-14/"
           "ExternalQuestion.xsd")
MOST_BYTES = 65_535  # of a question


def signing_key(db: sqlite3.Connection) -> bytes:
  """The campaign's key, made when first asked for; `db`: a writing transaction."""
  return store.signing_key(db, "mturk hits")


def sign(key: bytes, request_token: str) -> str:
  return hmac.digest(key, request_token.encode("utf-8", "surrogatepass"), hashlib.sha256).hex()


def is_signed(key: bytes, request_token: str, mac: str) -> bool:
  return hmac.compare_digest(sign(key, request_token).encode(),
                             mac.encode("utf-8", "surrogatepass"))


def address(server: str, key: bytes, request_token: str) -> str:
  """Where the page of a HIT is; Amazon appends its parameters."""
  query = urllib.parse.urlencode({"hit": request_token, "key": sign(key, request_token)})
  return f"{server.rstrip('/')}/mturk?{query}"


def external_question(url: str, frame_height: int = 0) -> str:
  """The question of a HIT (XML); height 0: as high as the worker's window."""
  text = (f'<ExternalQuestion xmlns="{_SCHEMA}"><ExternalURL>{saxutils.escape(url)}</ExternalURL>'
          f"<FrameHeight>{frame_height}</FrameHeight></ExternalQuestion>")
  if len(text.encode("utf-8")) > MOST_BYTES:
    raise ValueError(f"a question has at most {MOST_BYTES} bytes")
  return text
