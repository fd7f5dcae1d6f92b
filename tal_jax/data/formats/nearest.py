"""What is said of a path in no known format: what it holds, the nearest format, the way out."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tal_jax.data.formats import seen
from tal_jax.data.formats.format import Format, Probe
from tal_jax.data.text.table import column_key, delimiter_of

# The names that files have for one thing; those of the formats' own fields among them.
_MEANINGS = (
    {"video_id", "youtube_id", "video", "id", "vid", "filename", "file_name", "file", "video_name",
     "videoname", "video-name", "video_file", "video_path", "media_file", "path", "clip", "clip_id",
     "recording", "name", "uid"},
    {"start", "time_start", "start_time", "start_timestamp", "t_start", "tstart", "onset", "begin",
     "begin_time", "from", "t1", "start_frame", "first_frame", "f-init", "xmin", "tmin", "s"},
    {"end", "time_end", "end_time", "stop_timestamp", "end_timestamp", "t_end", "tend", "offset",
     "stop", "stop_time", "to", "t2", "end_frame", "last_frame", "stop_frame", "f-end", "xmax",
     "tmax", "finish", "e"},
    {"label", "event_label", "class", "class_name", "classname", "label_name", "action", "activity",
     "behavior", "behaviour", "category", "gesture", "annotation", "tag", "event", "trial_type",
     "labels"},
    {"subset", "split", "set", "partition", "phase"},
    {"duration", "length", "video_length", "video_duration", "duration_second"},
    {"segment", "timestamps", "timestamp", "interval", "time", "times", "span"},
    {"score", "confidence", "conf", "prob", "probability"},
)
_UNIT = re.compile(r"(.+?)_?\(?_?(s|secs?|seconds?|ms|msecs?|milliseconds?|frames?)\)?")
_WAYS = {
    "annotations": "a csv with a line per truth, video_id,subset,duration,label,start,end, times "
                   "in seconds (subset and duration may be left out)",
    "features": "a folder with a file per video, numpy.save(ID + '.npy', array), the array [T, d] "
                "with a row per time step; name the folder",
    "proposals": 'JSON {"results": {ID: [{"score": s, "segment": [start, end]}]}}, times in '
                 "seconds",
    "predictions": 'JSON {"results": {ID: [{"label": name, "score": s, "segment": [start, '
                   'end]}]}}, times in seconds',
}


class Match(NamedTuple):
  """How far a file has the fields of a format."""

  format: Format
  same: dict[str, str]  # field -> the file's name, spelling aside
  alike: dict[str, str]  # field -> the file's name for the same thing
  lacking: list[str]


def refusal(probe: Probe, kind: str, formats: Sequence[Format],
            look: Callable[[str], Probe]) -> str:
  """A line on what is there and the nearest format, and one on how to convert it.

  Args:
    probe: of the path.
    kind: of data that was wanted.
    formats: of that kind.
    look: gives the probe of a file in the folder.
  """
  text, found = seen.describe(probe), nearest(probe, formats)
  first = seen.first_text(probe) if kind != "features" else ""
  if first:
    inner = look(first)
    text += f" In {first}: {seen.describe(inner)}"
    found = nearest(inner, formats)
  if kind == "features":
    text += seen.hint_of_features(probe)
  said = "" if found is None else " " + _sentence(found)
  way = _rename(probe, found) if kind == "annotations" and found and not first else None
  return f"{text}{said}\nTo convert it: {way or _WAYS[kind]}."


def nearest(probe: Probe, formats: Sequence[Format]) -> Match | None:
  """The format that the file has most fields of; None if it has none of any.

  Formats say in `Format.fields` which columns or keys they need. JSON is compared with JSON, and
  tables with tables, if there are any.
  """
  names = seen.fields(probe)
  matches = [x for x in (_match(names, x) for x in formats) if x.same or x.alike]
  alike = [x for x in matches if ("JSON" in x.format.looks) == seen.is_json(probe)]
  return max(alike or matches, default=None, key=lambda x: (
      len(x.same), len(x.alike), x.format.write is not None, -len(x.lacking)))


def _match(names: Sequence[str], format: Format) -> Match:
  keys = {column_key(name): name for name in reversed(names)}
  same = {field: keys[column_key(field)] for field in format.fields if column_key(field) in keys}
  meanings: dict[int, str] = {}
  for name in reversed(names):
    meaning = _meaning(name)
    if meaning is not None and name not in same.values():
      meanings[meaning] = name
  rest = [field for field in format.fields if field not in same]
  alike = {field: meanings[_meaning(field)] for field in rest if _meaning(field) in meanings}
  return Match(format, same, alike, [field for field in rest if field not in alike])


def _meaning(name: str) -> int | None:
  """Which of the meanings a name has, a unit at its end aside."""
  key = column_key(name)
  unit = _UNIT.fullmatch(key)
  for form in (key, unit.group(1) if unit else key):
    for number, names in enumerate(_MEANINGS):
      if form in names:
        return number
  return None


def _sentence(match: Match) -> str:
  needs = [f"{field} ({match.alike[field]}?)" if field in match.alike else field
           for field in match.format.fields if field not in match.same]
  return f"Nearest is {match.format.name!r}" + (f", which needs also {', '.join(needs)}."
                                                if needs else f": {match.format.looks}.")


def _rename(probe: Probe, match: Match) -> str | None:
  """For a table whose columns want other names alone, the line that gives them."""
  if match.lacking or not match.alike or seen.is_json(probe) or match.format.write is None:
    return None
  taken = {*match.same.values(), *match.alike.values()}
  if any(_meaning(name) == _meaning("label") for name in seen.fields(probe) if name not in taken):
    return None  # two that may be the class
  mark = delimiter_of(probe.text)
  names = ", ".join(f"{name!r}: {field!r}" for field, name in match.alike.items())
  given = "" if mark == "," else f", sep={mark!r}"
  return (f"pandas.read_csv(FILE{given}, dtype=str).rename(columns={{{names}}})"
          ".to_csv('new.csv', index=False), if that is what they are; times in seconds")
