"""Fixtures for all tests. `data_dir` finds the real data sets, or skips with the reason."""

import importlib.metadata
import os
import pathlib

import pytest

# The binaries that tests start keep nothing in the home of whoever runs the tests.
os.environ.setdefault("JAX_ENABLE_COMPILATION_CACHE", "false")
# Tests compile more than they compute, and XLA compiles three times as fast for a CPU if it does
# not optimise. XLA_FLAGS="" gives the programs that users run. (An unknown flag ends the process.)
if (0, 7) <= tuple(map(int, importlib.metadata.version("jaxlib").split(".")[:2])) <= (0, 12):
  os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false "
                                     "--xla_backend_optimization_level=0")

# The files that take longest, first: a process that gets one of them last keeps the others waiting.
_LONGEST = ("test_walkthrough.py", "test_devices.py", "test_benchmark.py", "test_whole_loop.py",
            "test_simulate_models.py")
# The second tier, by the beginnings of their paths: programs, browsers, videos, many processes.
_SLOW = ("annotation/web/page/", "encoders/", "experiments/", "test_devices", "test_walkthrough",
         "video/")
_MOST_MAPS = 30_000
_HERE = pathlib.Path(__file__).resolve().parent
_DEFAULT = pathlib.Path(__file__).resolve().parent.parent.parent / "shared" / "data"


def pytest_configure(config):
  config.addinivalue_line("markers", "slow: starts programs, browsers or videos, or takes seconds; "
                                     "also every test of the files that conftest.py lists")
  config.addinivalue_line("markers", "exhaustive: minutes; only `-m exhaustive` or -m '' runs it")
  if config.option.markexpr and "exhaustive" not in config.option.markexpr:
    config.option.markexpr = f"({config.option.markexpr}) and not exhaustive"


@pytest.hookimpl(tryfirst=True)  # before pytest chooses by marks
def pytest_collection_modifyitems(items):
  items.sort(key=lambda item: item.path.name not in _LONGEST)
  for item in items:
    place = item.path.relative_to(_HERE).as_posix()
    if place.startswith(_SLOW):
      item.add_marker("slow")


@pytest.fixture(scope="session")
def data_dir() -> pathlib.Path:
  """The folder named by TAL_JAX_DATA (default: ../shared/data)."""
  path = pathlib.Path(os.environ.get("TAL_JAX_DATA", _DEFAULT))
  if not path.is_dir():
    pytest.skip(f"real data not found at {path}: set TAL_JAX_DATA to the folder of data sets")
  return path


@pytest.fixture(scope="module", autouse=True)
def few_programs():
  """Forgets the compiled programs between two files where they fill the process.

  Each takes memory maps, of which a process may have 65,530 (Linux); beyond, XLA's compiler ends
  with a segmentation fault.
  """
  yield
  maps = pathlib.Path("/proc/self/maps")
  if maps.exists() and maps.read_bytes().count(b"\n") > _MOST_MAPS:
    import jax
    jax.clear_caches()
