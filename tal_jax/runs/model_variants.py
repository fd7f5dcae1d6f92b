"""Models and their variants, as `config.models` lists them: `MODEL` or `MODEL:SETTING=VALUE,...`.

    stage_wise                        the model as the config has it, "plain"
    stage_wise:folds=0,voting=0       with two settings of its own section changed
    paper:svm.c=0.1                   with a setting of another section that the model reads
    frames:linear                     short for frames:context=linear

Only what the model itself reads can be changed, not how the data are made: all models of a split
have the same data.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ml_collections import ConfigDict

from tal_jax.errors import DataError
from tal_jax.runs import cli, config_options, localizers, unused_settings

_SHARED = ("top_k",)  # of all models


def read(config: ConfigDict, entries: Iterable[str]) -> list[tuple[str, ConfigDict]]:
  """The models of a field of a config, each with its name and its checked config.

  One way to write a variant has one name: settings in order of the alphabet, `context` first and
  without its name, numbers as short as they can be.

  Args:
    config: has the settings of all models.
    entries: from a command line they arrive as one text with commas. A piece `SETTING=VALUE`
      belongs to the model before it.

  Raises:
    DataError: a model, setting or value that does not exist.
  """
  texts: list[str] = []
  for piece in cli.names(entries):
    if not re.match(r"[^:=]*=", piece):
      texts.append(piece)
    elif texts and ":" in texts[-1]:
      texts[-1] += f",{piece}"
    else:
      raise DataError(f"models: {piece!r} belongs to no model: write MODEL:{piece}")
  return [_read(config, text) for text in texts]


def plain(name: str) -> str:
  """The model that `name` is a variant of; `name` itself if it is none."""
  return name.partition(":")[0]


def settings(config: ConfigDict, model: str) -> tuple[str, ...]:
  """What a variant of the model may change; the model's own section is not named."""
  found = list(_SHARED)
  for name in unused_settings.READS[model]:
    if name in unused_settings.OF_THE_DATA:
      continue
    section, _, field = name.rpartition(".")
    value = (config[section] if section else config)[field]
    found += [f"{name}.{key}" for key in value] if isinstance(value, ConfigDict) else [name]
  return tuple(name.removeprefix(f"{model}.") for name in found)


def _read(config: ConfigDict, text: str) -> tuple[str, ConfigDict]:
  model, _, rest = text.partition(":")
  changed = config.copy_and_resolve_references()
  changed.model = model
  if model not in localizers.MODELS:
    localizers.make(changed)  # says which there are
  changes: dict[str, Any] = {}
  for piece in rest.split(",") if rest else ():
    name, value = _change(config, model, piece, text)
    if name in changes:
      raise DataError(f"models: {text!r}: {name} is given twice")
    changes[name] = value
  changed.update_from_flattened_dict({_path(model, name): x for name, x in changes.items()})
  localizers.make(changed)
  return _name(model, changes), changed


def _change(config: ConfigDict, model: str, piece: str, text: str) -> tuple[str, Any]:
  """`SETTING=VALUE`, or a context alone, as a setting of the model and its value."""
  name, sign, value = map(str.strip, piece.partition("="))
  if not sign:
    name, value = "context", name
  name = name.removeprefix(f"{model}.")
  there = settings(config, model)
  if name not in there:
    near = difflib.get_close_matches(name, there, 1)
    hint = f"; did you mean `{near[0]}`?" if near else ""
    raise DataError(f"models: {text!r}: {model} has no setting `{name}`{hint}; "
                    f"there are {', '.join(there)}")
  default = config
  for key in _path(model, name).split("."):
    default = default[key]
  try:
    return name, config_options.typed(value, default)
  except (ValueError, TypeError):
    raise DataError(f"models: {text!r}: {name} must be {config_options.wanted(default)}, such as "
                    f"{default}") from None


def _path(model: str, name: str) -> str:
  return name if "." in name or name in _SHARED else f"{model}.{name}"


def _name(model: str, changes: Mapping[str, Any]) -> str:
  texts = [str(value) if name == "context" else f"{name}={str(value).removesuffix('.0')}"
           for name, value in sorted(changes.items(), key=lambda x: (x[0] != "context", x[0]))]
  return f"{model}:{','.join(texts)}" if texts else model
