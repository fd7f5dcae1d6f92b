"""Which room may know which other: the arrows of docs/architecture.md, read from the imports.

An import inside a function counts as one at the top; one for type checkers counts, too.
"""

import ast
import functools
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
TOPS = ("tal_jax", "experiments", "configs")

# Room -> the rooms of ours that it may know, beside itself. The last that fits a module counts.
BASE = {"errors", "segments", "host_segments", "sizes", "rows", "pool"}
DATA = BASE | {"data", "video", "encoders", "metrics"}
MODELS = BASE | {"models", "devices", "data", "metrics"}
KNOWS = {
    "errors": set(), "host_segments": set(), "sizes": set(), "segments": set(),
    "rows": {"segments"}, "pool": {"rows", "segments"}, "devices": {"pool", "rows"},
    "oracles": {"segments"},
    "data": DATA, "video": {"errors", "data"}, "encoders": {"errors", "data", "video"},
    "metrics": BASE | {"data", "devices", "models"},
    "models": MODELS,
    "proposals": MODELS | {"encoders"},
    "learner": MODELS | {"oracles"},
    "checkpoints": {"devices", "learner", "models"},
    "selection": MODELS | {"learner"},
    # The campaign is a web service, which a machine without JAX can run.
    "annotation": {"errors", "host_segments", "data", "video"},
    "annotation.active": MODELS | DATA | {"learner", "oracles", "annotation"},
    "runs": {"annotation", "annotation.active", "checkpoints", "devices", "encoders", "learner",
             "metrics", "models", "oracles", "proposals", "selection", "video", "data"} | BASE,
    "former_names": set(),
}
# The noise of simulated workers is that of the simulated oracles.
ALLOWED = {("tal_jax.annotation.oracles.behaviour", "tal_jax.oracles")}

# Modules that must not load JAX, and what is in memory after them.
HOST_SIDE = ("tal_jax.annotation.store", "tal_jax.annotation.web.server",
             "tal_jax.annotation.exports", "tal_jax.annotation.oracles", "tal_jax.data.annotations",
             "tal_jax.data.features", "tal_jax.data.predictions", "tal_jax.data.proposals",
             "tal_jax.data.checks.validation", "tal_jax.data.simulation.data_set",
             "tal_jax.data.tfds.builder", "tal_jax.video.frames")


@functools.cache
def modules():
  """Dotted name -> path, of all of ours."""
  found = {}
  for top in TOPS:
    for path in (ROOT / top).rglob("*.py"):
      parts = path.relative_to(ROOT).with_suffix("").parts
      found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
  return found


@functools.cache
def imports(module):
  """What a module imports, as dotted names: modules of ours, and the tops of others."""
  names = set()
  for node in ast.walk(ast.parse(modules()[module].read_text("utf-8"))):
    if isinstance(node, ast.Import):
      names |= {alias.name for alias in node.names}
    elif isinstance(node, ast.ImportFrom):
      assert node.level == 0, f"{module} imports by a relative name"
      names |= {full if (full := f"{node.module}.{alias.name}") in modules() else node.module
                for alias in node.names}
  return {name if name in modules() else name.partition(".")[0] for name in names}


def ours(module):
  return {name for name in imports(module) if name in modules() and name != module}


def room(module):
  """The room of a module of tal_jax, as `KNOWS` names it."""
  inside = module.removeprefix("tal_jax.")
  return max((name for name in KNOWS if f"{inside}.".startswith(f"{name}.")), key=len, default="")


def test_every_module_is_in_a_room():
  assert {name for name in modules() if name.startswith("tal_jax.") and not room(name)} == set()


@pytest.mark.parametrize("name", KNOWS)
def test_a_room_knows_only_what_it_may(name):
  own = [module for module in modules() if module.startswith("tal_jax.") and room(module) == name]
  assert own, "no such room"
  wrong = {(module, other) for module in own for other in ours(module)
           if other != "tal_jax" and (module, other) not in ALLOWED
           and room(other) not in KNOWS[name] | {name}}
  assert not wrong


def test_no_cycle():
  """Modules are taken away while they know nothing that is left; a cycle is what stays."""
  left = {module: ours(module) for module in modules()}
  while free := [module for module, known in left.items() if not known & left.keys()]:
    for module in free:
      del left[module]
  assert not left, {module: known & left.keys() for module, known in left.items()}


def test_the_package_knows_no_binary_and_no_config():
  for module in modules():
    if module.partition(".")[0] == "tal_jax":
      assert not {name for name in ours(module) if name.partition(".")[0] != "tal_jax"}, module


def test_all_experiments_can_be_run():
  for path in (ROOT / "experiments").glob("*.py"):
    assert path.name == "__init__.py" or '\nif __name__ == "__main__":' in path.read_text("utf-8")


@pytest.mark.parametrize(("package", "knowing"), [
    ("orbax", {"tal_jax.checkpoints"}), ("boto3", {"tal_jax.annotation.oracles.mturk_client"}),
    # One reads published weights of other packages, the other is what the benchmark compares with.
    ("torch", {"tal_jax.encoders.weight_files", "experiments.benchmarks.detector_peer"}),
    ("tensorflow", set())])
def test_who_knows_a_package(package, knowing):
  assert {module for module in modules() if package in imports(module)} == knowing


def test_no_name_shadows_the_standard_library():
  inside = [name for name in modules() if name.startswith("tal_jax.")]
  assert not {name for name in inside if name.rpartition(".")[2] in sys.stdlib_module_names}


def test_the_host_side_does_without_jax():
  code = "\n".join(["import importlib, sys",
                    f"for name in {HOST_SIDE!r}:", "  importlib.import_module(name)",
                    "print([name for name in ('jax', 'flax', 'optax') if name in sys.modules])"])
  done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, text=True,
                        capture_output=True)
  assert done.stdout.strip() == "[]"


def test_no_reader_takes_more_than_eight_arguments():
  """Whoever has more to say has a record for it."""
  for module, path in modules().items():
    if room(module) not in ("data", "annotation", "annotation.active", "video"):
      continue
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
      if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        names = [x.arg for x in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs,
                                 node.args.vararg, node.args.kwarg) if x is not None]
        assert len([x for x in names if x not in ("self", "cls")]) <= 8, (module, node.name)
