"""Import names of version 0.1 that programs of users have: they lead to where the code is now.

Importing one gives a DeprecationWarning. `tal_jax/__init__.py` installs the finder.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.util
import sys
import warnings

# Former name -> the modules that have what it had.
MOVED = {
    "tal_jax.annotation.consensus": ("tal_jax.annotation.rules.consensus",),
    "tal_jax.annotation.loop": ("tal_jax.annotation.active.loop",),
    "tal_jax.annotation.media": ("tal_jax.annotation.videos.media",),
    "tal_jax.annotation.proxies": ("tal_jax.annotation.videos.proxies",),
    "tal_jax.data.types": ("tal_jax.data.records", "tal_jax.data.dataset", "tal_jax.errors"),
    "tal_jax.encoders.video": ("tal_jax.video.frames",),
    "tal_jax.encoders.video_files": ("tal_jax.video.video_files",),
    "tal_jax.models.daps": ("tal_jax.proposals.daps.network",),
    "tal_jax.models.svm_pool": ("tal_jax.models.svm.pool",),
    "tal_jax.models.tag": ("tal_jax.proposals.tag",),
    "tal_jax.selection.random": ("tal_jax.selection.random_sampling",),
}


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
  """Finds the former names alone, and asks for no file that is not needed."""

  def find_spec(self, fullname, path=None, target=None):
    return importlib.util.spec_from_loader(fullname, self) if fullname in MOVED else None

  def exec_module(self, module):
    now = MOVED[module.__name__]
    warnings.warn(f"{module.__name__} is now {' and '.join(now)}", DeprecationWarning, stacklevel=2)
    found = [importlib.import_module(name) for name in now]
    if len(found) == 1:
      sys.modules[module.__name__] = found[0]
    for part in found[1:] and found:
      module.__dict__.update({name: value for name, value in vars(part).items()
                              if not name.startswith("__")})


def install() -> None:
  """Lets the former names be imported; again it changes nothing."""
  if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
    sys.meta_path.append(_Finder())
