"""The public address of the pages: http(s)://HOST[:PORT][/FOLDER].

With a folder a proxy is in front of the server. It may send https://HOST/FOLDER/page on as /page or
as /FOLDER/page. The pages name everything relative to where they are.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import urllib.parse
from typing import NamedTuple

from tal_jax.errors import DataError

_PORTS = {"http": ":80", "https": ":443"}


class Address(NamedTuple):
  origin: str  # scheme://host[:port], as browsers write it
  folder: str  # "", or /FOLDER without a slash at its end

  def __str__(self) -> str:
    return self.origin + self.folder


def parse(given: str) -> Address:
  """The address that a user wrote.

  Raises:
    DataError: it is none.
  """
  try:
    parts = urllib.parse.urlsplit(given)
    scheme, host = parts.scheme.lower(), parts.netloc.lower()
    _ = parts.port  # ValueError where it is none
    host = host.removesuffix(_PORTS[scheme])
    folder = parts.path.rstrip("/")
    if (parts.hostname and "@" not in host and not parts.query and not parts.fragment
        and re.fullmatch(r"(/[\w.~%-]+)*", folder, re.ASCII) and host.isascii()
        and not re.search(r"[\s/\\]", host)):
      return Address(f"{scheme}://{host}", folder)
  except (KeyError, ValueError):
    pass
  raise DataError(f"the public address is {given!r}: write https://host or http://host:port, and "
                  "/folder where a proxy serves the pages from one")


def is_loopback(address: str) -> bool:
  """Whether only this machine reaches an address."""
  host = urllib.parse.urlsplit(address).hostname or ""
  try:
    return ipaddress.ip_address(host).is_loopback
  except ValueError:
    return host == "localhost" or host.endswith(".localhost")


def for_others(url: str) -> list[str]:
  """What to say of links to `url` that nobody but this machine can open; nothing of others."""
  if not is_loopback(url):
    return []
  port = urllib.parse.urlsplit(url).port or 80
  return ["The links work on this machine only; for others: --host=0.0.0.0 "
          f"--config.campaign.address=http://{socket.gethostname()}:{port} (or another name or "
          "address by which they reach this machine)."]
