"""One proxy in a process of its own, so that a codec that crashes or hangs ends nothing else.

    python -m tal_jax.annotation.videos.proxy_process < JSON

reads a `Request` in a line and prints an `Outcome`. A process that ends without an outcome has
crashed.
"""

from __future__ import annotations

import errno
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from tal_jax.annotation import following
from tal_jax.annotation.patience import passing
from tal_jax.annotation.videos import proxies
from tal_jax.annotation.videos.media import Probe
from tal_jax.errors import DataError
from tal_jax.video.streams import VideoFault, pyav

_COMMAND = (sys.executable, "-m", "tal_jax.annotation.videos.proxy_process")
_PATIENCE = 600.0, 100.0  # seconds, and seconds per second of the video, before it counts as hung
_LOOK_EVERY = 0.2  # seconds
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM,
                errno.ENOENT, errno.ENOTDIR, errno.EMFILE, errno.ENFILE)


class Request(NamedTuple):
  video: str  # name
  path: str
  probe: Probe
  folder: str  # of the proxies
  height: int  # see `proxies.write_proxy`


class Outcome(msgspec.Struct, frozen=True):
  """At most one of fault and problem is set; neither: the proxy is there."""

  fault: str = ""  # of the video, which can never be made ready
  problem: str = ""  # of the machine, which may pass: no space, a folder that is away
  crashed: bool = False  # `fault` is that the process crashed: once more may do
  note: str = ""  # of a proxy that is there: damage that it can be watched with


def make(request: Request, *, stopped: Callable[[], bool] = lambda: False,
         command: Sequence[str] = _COMMAND) -> Outcome:
  """Writes a proxy in a process of its own, unless it is there.

  Args:
    request: what to make.
    stopped: asked now and then; the process is killed when it says so.
    command: the process.
  """
  reading, writing = os.pipe()
  try:
    process = subprocess.Popen(command, stdin=reading, stdout=subprocess.PIPE,
                               start_new_session=True, env=_environment())
    os.close(reading)
    os.write(writing, msgspec.json.encode(request) + b"\n")
    said = _said(process, _PATIENCE[0] + _PATIENCE[1] * request.probe.duration, stopped)
  finally:
    os.close(writing)
  if isinstance(said, Outcome):
    return said
  try:
    return msgspec.json.decode(said, type=Outcome)
  except msgspec.DecodeError:
    return Outcome(fault=f"the process that decodes it ends with code {process.returncode}",
                   crashed=True)


def _said(process: subprocess.Popen, patience: float,
          stopped: Callable[[], bool]) -> bytes | Outcome:
  """What the process printed before it ended; an outcome where it had to be killed."""
  with process:
    try:
      while True:
        try:
          return process.communicate(timeout=_LOOK_EVERY)[0]
        except subprocess.TimeoutExpired:
          patience -= _LOOK_EVERY
          if patience < 0:
            return Outcome(fault="it takes longer than any video should", crashed=True)
          if stopped():
            return Outcome(problem="the program stopped")
    finally:
      process.kill()


def _environment() -> dict[str, str]:
  """Of the process, which must find this package wherever it is started."""
  root = str(pathlib.Path(__file__).resolve().parents[3])
  return os.environ | {"PYTHONPATH": os.pathsep.join(
      filter(None, (root, os.environ.get("PYTHONPATH"))))}


def _carry_out(request: Request) -> Outcome:
  path, folder = pathlib.Path(request.path), pathlib.Path(request.folder)
  try:
    with path.open("rb"):
      folder.mkdir(parents=True, exist_ok=True)
  except OSError as error:
    return Outcome(problem=passing(error, folder) or f"{error.filename}: {error.strerror}")
  told: list[str] = []
  try:
    proxies.playable(request.video, path, request.probe, folder, height=request.height,
                     tell=told.append)
  except VideoFault as error:
    return Outcome(fault=str(error))
  except DataError as error:
    return Outcome(problem=passing(error, folder) or str(error))
  except (OSError, pyav().error.FFmpegError) as error:
    if isinstance(error, OSError) and (trouble := passing(error, folder)):
      return Outcome(problem=trouble)
    text = f"the proxy of {path}: {error.strerror or error}"
    return Outcome(problem=text) if error.errno in _OF_THE_DISK else Outcome(fault=text)
  return Outcome(note="; ".join(told))


def main() -> None:
  request = msgspec.json.decode(sys.stdin.buffer.readline(), type=Request)
  following.follow(sys.stdin.fileno())
  print(msgspec.json.encode(_carry_out(request)).decode(), flush=True)


if __name__ == "__main__":
  main()
