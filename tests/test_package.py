"""The package as installed: light to import, without TensorFlow, pinned for every stack."""

import importlib.metadata
import pathlib
import re
import subprocess
import sys

import pytest
from packaging.requirements import Requirement

import tal_jax

_ROOT = pathlib.Path(__file__).resolve().parent.parent
_CONSTRAINTS = sorted((_ROOT / "constraints").glob("*.txt"))
_PIN = re.compile(r"(?P<name>[a-z0-9]+(-[a-z0-9]+)*)==(?P<version>[0-9][0-9a-z.]*)")


def _loaded_by(code: str) -> set[str]:
  """Top-level modules in memory after a fresh interpreter in the checkout ran `code`."""
  code += "\nimport sys\nprint(*sorted({name.partition('.')[0] for name in sys.modules}))"
  result = subprocess.run([sys.executable, "-c", code], cwd=_ROOT, check=True, text=True,
                          stdout=subprocess.PIPE)
  return set(result.stdout.splitlines()[-1].split())


def _pins(path: pathlib.Path) -> dict[str, str]:
  lines = [line for line in path.read_text("utf-8").splitlines() if not line.startswith("#")]
  matches = {line: _PIN.fullmatch(line) for line in lines}
  assert not [line for line, match in matches.items() if match is None], "not a pin"
  names = [match["name"] for match in matches.values()]
  assert names == sorted(set(names)), "pins are sorted, one a package"
  return {match["name"]: match["version"] for match in matches.values()}


def test_version():
  assert re.fullmatch(r"\d+\.\d+\.\d+", tal_jax.__version__)


def test_import_is_light():
  loaded = _loaded_by("import tal_jax")
  assert "tal_jax" in loaded
  assert loaded.isdisjoint({"jax", "numpy", "matplotlib", "tensorflow", "torch"})


def test_library_needs_neither_tensorflow_nor_torch_nor_plots():
  loaded = _loaded_by(
      "import importlib, pkgutil, tal_jax\n"
      "for module in pkgutil.walk_packages(tal_jax.__path__, 'tal_jax.'):\n"
      "  importlib.import_module(module.name)")
  assert {"jax", "tal_jax"} <= loaded
  assert loaded.isdisjoint({"matplotlib", "tensorboard", "tensorflow", "torch"})


def test_there_are_constraints():
  assert {"py311", "py312", "py313-colab"} <= {path.stem for path in _CONSTRAINTS}


@pytest.mark.parametrize("path", _CONSTRAINTS, ids=lambda path: path.stem)
def test_constraints_pin_every_requirement(path):
  """Each direct requirement, of the core and of every extra, at a version setup.py allows."""
  try:
    requirements = importlib.metadata.requires("tal_jax")
  except importlib.metadata.PackageNotFoundError:
    pytest.skip("tal_jax is not installed: pip install -e '.[test]'")
  pins = _pins(path)
  assert requirements
  for requirement in map(Requirement, requirements):
    name = re.sub(r"[-_.]+", "-", requirement.name).lower()
    assert requirement.specifier.contains(pins[name]), f"{requirement}, but {name}=={pins[name]}"
