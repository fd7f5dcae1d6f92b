"""Settings that have no effect with the chosen model: told, since nobody would notice."""

from __future__ import annotations

from collections.abc import Iterator

from ml_collections import ConfigDict

OF_THE_DATA = ("encoder", "data.normalize", "data.dtype", "data.proposals")
_PAPER = ("svm", "attention", "classifier", *OF_THE_DATA)
_STAGE_WISE = ("stage_wise", "svm", "attention", "classifier.max_iters", *OF_THE_DATA)
# What each model reads, of what not all models read: settings, and whole sections.
READS = {"paper": _PAPER, "stage_wise": _STAGE_WISE, "frames": ("frames",), "point": ("point",),
         "auto": ("point", "frames", *_STAGE_WISE)}


def line(config: ConfigDict, defaults: ConfigDict) -> str:
  """Which settings differ from their defaults and change nothing; "" where there are none."""
  read = READS[config.model]
  names = [name for name, value in sorted(dict(_settings(config)).items())
           if name not in read and name.split(".")[0] not in read
           and value != _default(defaults, name)]
  if not names:
    return ""
  return (f"without effect, since model = {config.model!r} does not read "
          f"{'it' if len(names) == 1 else 'them'}: {', '.join(names)}")


def _settings(config: ConfigDict) -> Iterator[tuple[str, object]]:
  """The settings that not all models read."""
  for name in dict.fromkeys(name for names in READS.values() for name in names):
    section, _, field = name.rpartition(".")
    part = config[section] if section else config
    if field in part:
      value = part[field]
      if isinstance(value, ConfigDict):
        yield from ((f"{name}.{key}", leaf) for key, leaf in value.items())
      else:
        yield name, value


def _default(defaults: ConfigDict, name: str) -> object:
  """"" for the path that only some configs have."""
  section, _, field = name.rpartition(".")
  part = defaults[section] if section else defaults
  return part[field] if field in part else ""
