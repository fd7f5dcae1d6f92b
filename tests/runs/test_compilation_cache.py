"""The cache of compiled programs: where it is, when it stays off, and how it is bounded."""

import os
import pathlib
import subprocess
import sys
import types

import pytest

from tal_jax.runs import compilation_cache as lib

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = ("import jax, jax.numpy as jnp, jax.monitoring as m; from tal_jax.runs.compilation_cache "
           "import enable; hits = []; "
           "m.register_event_listener(lambda name, **_: hits.append(name)); "
           "print(enable()); jax.jit(lambda x: x * 3 + 1)(jnp.arange(7.0)); "
           "print(sum('cache_hits' in name for name in hits)); "
           "print(jax.config.jax_compilation_cache_dir)")


def run(**environment):
  keep = {key: value for key, value in os.environ.items()
          if not key.startswith(("JAX_", "XDG_"))}
  done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True,
                        env={**keep, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT),
                             **environment}, check=False)
  assert done.returncode == 0, done.stderr
  return done.stdout.split("\n")[:3], done.stderr


def test_the_second_run_finds_the_programs(tmp_path):
  (folder, hits, used), _ = run(XDG_CACHE_HOME=str(tmp_path))
  assert folder == used == str(tmp_path / "tal_jax" / "xla" / lib.host_cpu()) and hits == "0"
  assert list(pathlib.Path(folder).glob("*-cache"))
  assert pathlib.Path(folder).stat().st_mode & 0o077 == 0
  (_, hits, _), stderr = run(XDG_CACHE_HOME=str(tmp_path))
  assert int(hits) >= 1
  assert not stderr  # no complaint about the machine that compiled them


def test_settings_of_the_user_go_first(tmp_path):
  (folder, _, used), _ = run(XDG_CACHE_HOME=str(tmp_path / "a"),
                             JAX_COMPILATION_CACHE_DIR=str(tmp_path / "b"))
  assert (folder, used) == ("None", str(tmp_path / "b"))
  (folder, _, used), _ = run(XDG_CACHE_HOME=str(tmp_path / "a"),
                             JAX_ENABLE_COMPILATION_CACHE="false")
  assert (folder, used) == ("None", "None")
  assert not (tmp_path / "a").exists()


def test_a_folder_that_cannot_be_written_breaks_nothing(tmp_path):
  (tmp_path / "file").write_text("in the way")
  (folder, _, used), stderr = run(XDG_CACHE_HOME=str(tmp_path / "file"))
  assert (folder, used, stderr) == ("None", "None", "")


@pytest.mark.parametrize("fault", ["full", "no home", "read-only"])
def test_faults_of_the_disk(fault, tmp_path, monkeypatch):
  updates = []
  config = types.SimpleNamespace(
      jax_compilation_cache_dir=None, jax_enable_compilation_cache=True,
      update=lambda *pair: updates.append(pair))
  monkeypatch.setattr(lib, "jax", types.SimpleNamespace(config=config))
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
  if fault == "full":
    monkeypatch.setattr(lib.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 0}))
  elif fault == "read-only":
    monkeypatch.setattr(lib.os, "access", lambda *_: False)
  else:
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(lib.sys, "platform", "linux")

    def no_home():
      raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(lib.pathlib.Path, "home", no_home)
  assert lib.enable() is None and not updates


def test_folders_of_the_platforms(monkeypatch, tmp_path):
  monkeypatch.setattr(lib.pathlib.Path, "home", lambda: tmp_path)
  for given, system, expected in [
      ("/x", "linux", pathlib.Path("/x")), ("", "linux", tmp_path / ".cache"),
      ("relative", "linux", tmp_path / ".cache"), ("", "darwin", tmp_path / "Library" / "Caches"),
      ("", "win32", pathlib.Path("/local"))]:
    monkeypatch.setenv("XDG_CACHE_HOME", given)
    monkeypatch.setenv("LOCALAPPDATA", "/local")
    monkeypatch.setattr(lib.sys, "platform", system)
    assert lib.user_cache_dir() == expected


def test_the_oldest_entries_go(tmp_path):
  for i, folder in enumerate(("a", "b", "a", "b")):
    (tmp_path / folder).mkdir(exist_ok=True)
    path = tmp_path / folder / f"{i}-cache"
    path.write_bytes(bytes(100))
    os.utime(path, (i, i))
  lib.prune(tmp_path, 250)
  assert sorted(path.name for path in tmp_path.glob("*/*")) == ["2-cache", "3-cache"]
  lib.prune(tmp_path, 250)
  lib.prune(tmp_path / "none", 250)
  assert len(list(tmp_path.glob("*/*"))) == 2
