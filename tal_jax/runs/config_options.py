"""Mistakes in a config's options on the command line (`--config.SECTION.SETTING=VALUE`), in words.

ml_collections ends with a traceback for some of them. Here the options are read a second time,
beside the config that they are meant for.
"""

from __future__ import annotations

import ast
import difflib
import functools
import pathlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from absl import flags
from ml_collections import ConfigDict
from ml_collections.config_flags import config_flags

_SHOWN = 8  # names that a message lists
# What a value of a type must be, and what reads it from text.
_KINDS: Mapping[type, tuple[str, Callable[[str], Any]]] = {
    bool: ("true or false", flags.BooleanParser().parse),
    int: ("a whole number", flags.IntegerParser().parse),
    float: ("a number", flags.FloatParser().parse),
}


class Option(NamedTuple):
  """--NAME.PATH=VALUE."""

  name: str  # the config's flag
  path: str  # of the setting, with dots
  value: str | None  # None: the option has none

  def __str__(self) -> str:
    return f"--{self.name}.{self.path}" + ("" if self.value is None else f"={self.value}")


def missing_file(values: flags.FlagValues, argv: Sequence[str]) -> str | None:
  """What to say of a config whose file is not there."""
  for name in _config_flags(values):
    given = _given(name, argv)
    path = None if given is None else pathlib.Path(given.split(":", 1)[0])
    if path is not None and not path.is_file():
      there = sorted(map(str, path.parent.glob("*.py"))) if path.parent.is_dir() else []
      return f"--{name}={given}: there is no file {path}" + _near(str(path), there)
  return None


def with_lists(values: flags.FlagValues, argv: Sequence[str]) -> list[str]:
  """The arguments, with quotes about the names of a list that ml_collections cannot read.

  It reads `a,b` but not `a,b:c=1`, which is no Python. Only what it would refuse is changed.
  """
  result = list(argv)
  if not any(_is_unread(arg) or _is_unread(arg.partition("=")[2]) for arg in argv[1:]):
    return result
  for name, config in _configs(values, argv):
    lists = {f"{name}.{path}" for path in _paths(config) if isinstance(
        functools.reduce(lambda part, key: part[key], path.split("."), config), tuple)}
    for i, arg in enumerate(argv):
      if arg == "--":
        break
      head, sign, value = arg.partition("=")
      place = i if sign else i + 1
      value = value if sign else "".join(argv[place:place + 1])
      if head.startswith("-") and head.lstrip("-") in lists and _is_unread(value):
        entries = tuple(entry.strip() for entry in value.split(",") if entry.strip())
        result[place] = (f"{head}=" if sign else "") + repr(entries)
  return result


def _is_unread(text: str) -> bool:
  """Whether a list of bare names is refused by ml_collections' parser of tuples."""
  if "," not in text or text.lstrip()[:1] in tuple("([{'\""):
    return False
  try:
    ast.literal_eval(text)
  except SyntaxError:
    return True
  except ValueError:
    pass
  return False


def given_twice(values: flags.FlagValues, argv: Sequence[str]) -> str | None:
  """What to say of an option with two values, once all are read; a list is given entry by entry."""
  found: dict[str, str] = {}
  args = list(argv[1:])
  for arg, following in zip(args, [*args[1:], ""], strict=True):
    name, sign, _ = arg.lstrip("-").partition("=")
    if arg == "--" or not arg.startswith("-"):
      continue
    if name not in values:
      name = name.removeprefix("no")
    if name in values and not isinstance(values[name], flags.MultiFlag):
      text = arg if sign or values[name].boolean else f"{arg} {following}"
      before = found.setdefault(name, text)
      if before != text:
        return f"{before} and {text}: the last one counts"
  return None


def misfit(values: flags.FlagValues, argv: Sequence[str]) -> str | None:
  """The first option that does not fit its config; None if all do."""
  for name, config in _configs(values, argv):
    for option in _options(name, values.read_flags_from_files(list(argv), force_gnu=False)):
      if fault := _fault(config, option):
        return fault
  return None


def unknown(values: flags.FlagValues, argv: Sequence[str], option: str) -> str:
  """What to say of an option `NAME.PATH` that is of no config."""
  first, _, path = option.partition(".")
  near = [f"--{name}.{option}" for name, config in _configs(values, argv)
          if option in _paths(config)]
  near += [f"--{name}.{path}" for name in difflib.get_close_matches(
      first, _config_flags(values), 1)]
  return f"unknown option --{option}" + (f": did you mean {near[0]}?" if near else "")


def typed(text: str, like: Any) -> Any:
  """A setting's value from its text; ValueError or TypeError where it is not `wanted`."""
  return _KINDS.get(type(like), ("", str))[1](text)


def wanted(like: Any) -> str:
  """What a setting of this kind must be; "" where any text will do."""
  return _KINDS.get(type(like), ("", str))[0]


def _fault(config: ConfigDict, option: Option) -> str | None:
  node, names = config, option.path.split(".")
  for i, name in enumerate(names):
    section = ".".join(names[:i])
    if not isinstance(node, ConfigDict):
      return (f"{option}: {section} is a setting, not a section: write "
              f"--{option.name}.{section}=VALUE")
    if name not in node:
      return _no_such(config, node, option, names[:i], name)
    node = node[name]
  if isinstance(node, ConfigDict):
    return (f"{option}: {option.path} is a section: set one of its settings, such as "
            f"--{option.name}.{option.path}.{next(iter(node), 'SETTING')}=VALUE; it has "
            f"{_listed(node)}")
  if option.value is None:
    return None if isinstance(node, bool) else f"{option}: write {option}=VALUE"
  try:
    typed(option.value, node)
  except (ValueError, TypeError) as error:
    return f"{option}: it must be {wanted(node)}, such as {node} ({error.args[0]})"
  return None


def _no_such(config: ConfigDict, section: ConfigDict, option: Option, before: list[str],
             name: str) -> str:
  path = ".".join([*before, name])
  if name.partition("[")[0] in section:
    return (f"{option}: a list is set as a whole: write "
            f"--{option.name}.{path.partition('[')[0]}=FIRST,SECOND")
  there = [".".join([*before, x]) for x in section]
  last = option.path.rpartition(".")[2]
  elsewhere = [x for x in _paths(config) if x.rpartition(".")[2] == last]
  hint = _near(path, there) or (
      f"; did you mean {' or '.join(map(repr, elsewhere[:2]))}?" if elsewhere else
      f"; there are {_listed(section)}")
  return f"the config has no such field: {path!r}{hint}"


def _near(name: str, names: Iterable[str]) -> str:
  found = difflib.get_close_matches(name, list(names), 1)
  return f"; did you mean {found[0]!r}?" if found else ""


def _listed(section: ConfigDict) -> str:
  names = list(section)
  return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def _paths(section: ConfigDict, before: str = "") -> Iterator[str]:
  """All settings and sections."""
  for name, value in section.items():
    yield before + name
    if isinstance(value, ConfigDict):
      yield from _paths(value, f"{before}{name}.")


def _config_flags(values: flags.FlagValues) -> list[str]:
  return [name for name in values if config_flags.is_config_flag(values[name])]


def _configs(values: flags.FlagValues, argv: Sequence[str]) -> Iterator[tuple[str, ConfigDict]]:
  """The configs as their files have them, with the names of their flags."""
  for name in _config_flags(values):
    given = _given(name, argv)
    try:
      config = values[name].value if given is None else values[name].parser.parse(given)
    except Exception:  # a mistake in the config's file, whose own error tells it
      continue
    if isinstance(config, ConfigDict):
      yield name, config


def _given(name: str, argv: Sequence[str]) -> str | None:
  """What --NAME is given, the last time."""
  return ([None] + [option.value for option in _read(rf"(?P<path>){name}", name, argv)])[-1]


def _options(name: str, argv: Sequence[str]) -> list[Option]:
  return list(_read(rf"(?:no)?{name}\.(?P<path>[^=]*)", name, argv))


def _read(pattern: str, name: str, argv: Sequence[str]) -> Iterator[Option]:
  """The options that match; a value stands behind `=`, or is the next argument."""
  args = list(argv[1:])
  for arg, following in zip(args, [*args[1:], "-"], strict=True):
    if arg == "--":
      return
    found = re.fullmatch(rf"--?{pattern}(?:=(?P<value>.*))?", arg, re.DOTALL)
    if found:
      value = found["value"]
      yield Option(name, found["path"],
                   following if value is None and not following.startswith("-") else value)
