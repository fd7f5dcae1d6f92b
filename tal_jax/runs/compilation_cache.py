"""Keeps compiled programs from one run to the next: JAX's persistent cache, in a user's folder.

Most of the time from a command to its first step is compilation, and the programs of a config are
the same in every run. JAX hashes the program, its own version and the compiler's flags into the
name of an entry; the kind of CPU it leaves out in our oldest stack, and code for another one
may end in an illegal instruction: each kind has a folder of its own.

    $XDG_CACHE_HOME/tal_jax/xla/CPU/    default: ~/.cache, on macOS ~/Library/Caches,
                                        on Windows %LOCALAPPDATA%

JAX's own settings go first: with JAX_COMPILATION_CACHE_DIR or JAX_ENABLE_COMPILATION_CACHE=false
nothing is done here. Only binaries call this; the library never touches JAX's configuration.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pathlib
import platform
import re
import shutil
import sys
import warnings

import jax
from absl import logging

MAX_BYTES = 1 << 30  # of all entries; a run of configs/anet.py leaves about 20 MiB


def enable() -> pathlib.Path | None:
  """Turns the cache on for this process, if the user and the disk allow it.

  Returns:
    The folder, or None where this function left JAX as it was.
  """
  if jax.config.jax_compilation_cache_dir or not jax.config.jax_enable_compilation_cache:
    return None
  try:
    root = user_cache_dir() / "tal_jax" / "xla"
    folder = root / host_cpu()
    # Whoever can write here can run code as this user.
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
      raise PermissionError(f"{folder} is not writable")
    prune(root, MAX_BYTES)
    if shutil.disk_usage(folder).free < MAX_BYTES:
      raise OSError(f"less than {MAX_BYTES >> 20} MiB free at {folder}")
  except (OSError, RuntimeError) as error:  # RuntimeError: no home
    logging.info("Compiled programs are not kept: %s", error)
    return None
  # A full disk costs the entry, not the run; JAX would warn once for each program.
  warnings.filterwarnings("ignore", r"Error (writing|reading) persistent compilation cache entry")
  jax.config.update("jax_compilation_cache_dir", str(folder))
  # Most of our programs compile in less than JAX's threshold of a second, but they are many.
  jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
  jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
  return folder


def user_cache_dir() -> pathlib.Path:
  """Where this platform keeps what can be made again."""
  given = os.environ.get("XDG_CACHE_HOME", "")
  if os.path.isabs(given):  # the specification: a relative path is to be ignored
    return pathlib.Path(given)
  if sys.platform == "darwin":
    return pathlib.Path.home() / "Library" / "Caches"
  if sys.platform == "win32" and os.environ.get("LOCALAPPDATA"):
    return pathlib.Path(os.environ["LOCALAPPDATA"])
  return pathlib.Path.home() / ".cache"


def host_cpu() -> str:
  """Architecture and a digest of the CPU's model and instruction sets, e.g. "x86_64-1f0c5a2e".

  Where they cannot be read the host's name stands in for them.
  """
  try:
    text = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    found = sorted(set(re.findall(r"^(?:model name|flags|Features|CPU part)\s*:.*$", text, re.M)))
  except OSError:
    found = []
  identity = "\n".join(found) or f"{platform.processor()} {platform.node()}"
  return f"{platform.machine() or 'cpu'}-{hashlib.sha256(identity.encode()).hexdigest()[:8]}"


def prune(root: pathlib.Path, max_bytes: int) -> None:
  """Removes the entries under `root` that were not used for longest, until they fit.

  JAX's own bound, `jax_compilation_cache_max_size`, needs the package filelock and takes a lock
  for every look-up.
  """
  entries = []
  for path in root.glob("*/*-cache"):
    with contextlib.suppress(OSError):  # another process removed it
      stat = path.stat()
      entries.append((max(stat.st_atime, stat.st_mtime), stat.st_size, path))
  total = sum(size for _, size, _ in entries)
  for _, size, path in sorted(entries, key=lambda entry: entry[0]):
    if total <= max_bytes:
      break
    with contextlib.suppress(OSError):
      path.unlink()
    total -= size
