"""Names of version 0.1 that programs of users import."""

import importlib
import subprocess
import sys

import pytest

from tal_jax import former_names as lib


@pytest.mark.parametrize("name", lib.MOVED)
def test_leads_to_where_the_code_is_now(name):
  sys.modules.pop(name, None)
  with pytest.warns(DeprecationWarning, match=f"{name} is now {lib.MOVED[name][0]}"):
    found = importlib.import_module(name)
  for module in map(importlib.import_module, lib.MOVED[name]):
    public = [x for x in vars(module) if not x.startswith("_")]
    assert public and all(getattr(found, x) is getattr(module, x) for x in public)


def test_the_code_itself_has_none():
  code = ("import importlib, pkgutil, tal_jax\n"
          "for module in pkgutil.walk_packages(tal_jax.__path__, 'tal_jax.'):\n"
          "  importlib.import_module(module.name)")
  strict = "error::DeprecationWarning:tal_jax"
  subprocess.run([sys.executable, "-W", strict, "-c", code], check=True)


def test_from_a_package():
  code = ("from tal_jax.encoders import video\nfrom tal_jax.data.types import DataError, TimeGrid\n"
          "from tal_jax import errors\nassert DataError is errors.DataError and video.windows\n")
  done = subprocess.run([sys.executable, "-W", "always", "-c", code], check=True,
                        capture_output=True, text=True)
  assert "tal_jax.encoders.video is now tal_jax.video.frames" in done.stderr
  assert "<string>:1:" in done.stderr  # where the user wrote it


def test_another_name_is_still_unknown():
  with pytest.raises(ModuleNotFoundError, match="tal_jax.encoders.sheep"):
    importlib.import_module("tal_jax.encoders.sheep")
