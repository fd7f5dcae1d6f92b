"""Label Studio as the page: tasks go out as its JSON, completed annotations come in as its JSON.

In the work directory, under label_studio/:

    interface.xml        to be pasted into the project's labelling interface
    tasks_round_N.json   to be imported once, when round N opens
    completed/           where exports of the project (format JSON) are put, under any names
    problems.txt         what could not be taken, by file and task

An annotation is stored once, whichever files it comes in, with whoever completed it as the worker.
What cannot be taken is listed and skipped; it does no harm to put a mended export beside or over
it. Gold tasks are not given out: the tool has its own ground truth.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pathlib
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any

from absl import logging

from tal_jax.annotation.campaign import Campaign
from tal_jax.annotation.errors import RequestError
from tal_jax.annotation.oracles import (
  label_studio_format as ls,
  links,
  outsiders,
  settings as settings_lib,
)
from tal_jax.annotation.rules import answers, leases, people
from tal_jax.errors import DataError

_TASKS = (
    "SELECT t.id, t.round_id, v.name AS video, c.name AS label, v.media_path, v.fps, v.duration, "
    "c.instructions FROM tasks t JOIN videos v ON v.id = t.video_id "
    "JOIN classes c ON c.id = t.class_id ")


class LabelStudioSettings(settings_lib.Settings, kw_only=True, frozen=True):
  # The address of a video for the tool: {name}, {path} and {file} (the file's name) are filled in.
  # This one is for its own serving of local files.
  video_url: str = "/data/local-files/?d={file}"


class LabelStudio:
  """Exports the open rounds' tasks and imports what is completed."""

  name = "label_studio"

  def __init__(self, campaign: Campaign, settings: LabelStudioSettings, folder: pathlib.Path):
    self._campaign = campaign
    self._settings = settings
    self._folder = folder
    self._own = folder / "label_studio"
    self._read: dict[pathlib.Path, tuple[int, int]] = {}  # files that hold nothing more to be done
    self._problems: dict[pathlib.Path, list[str]] = {}

  @classmethod
  def make(cls, campaign: Campaign, settings: Mapping[str, Any],
           folder: pathlib.Path) -> LabelStudio:
    read = settings_lib.read(LabelStudioSettings, settings, cls.name)
    try:
      read.video_url.format(name="", path="", file="")
    except (LookupError, ValueError) as error:
      raise DataError(f"oracle label_studio: video_url {read.video_url!r} may use {{name}}, "
                      f"{{path}} and {{file}} only ({error})") from error
    return cls(campaign, read, folder)

  def start(self) -> list[str]:
    (self._own / "completed").mkdir(parents=True, exist_ok=True)
    with self._campaign.store.write() as db:
      people.set_named_only(db, False)
      labels = [row["name"] for row in db.execute("SELECT name FROM classes ORDER BY name")]
    _write(self._own / "interface.xml", ls.interface(labels))
    operators = [links.Person(name, "operator") for name in self._settings.operators]
    return [
        *links.write_links(self._campaign, operators, folder=self._folder,
                           address=self._settings.address, days=self._settings.days),
        f"Paste {self._own / 'interface.xml'} into the labelling interface of a project,",
        f"import {self._own / 'tasks_round_N.json'} when round N opens,",
        f"and put exports of the project (JSON) into {self._own / 'completed'}."]

  def advance(self) -> None:
    leases.expire(self._campaign)
    self._export()
    self._import()

  def stop(self) -> None:
    """Nothing to do: people work in the tool."""

  def _export(self) -> None:
    with self._campaign.store.read() as db:
      rows = db.execute(_TASKS + "JOIN rounds r ON r.id = t.round_id WHERE r.state = 'open' "
                        "AND v.state != 'excluded' AND NOT EXISTS (SELECT 1 FROM preparing p "
                        "JOIN tasks o ON o.video_id = p.video_id WHERE o.round_id = r.id) "
                        "ORDER BY t.id").fetchall()
    for number in sorted({row["round_id"] for row in rows}):
      path = self._own / f"tasks_round_{number}.json"
      if not path.exists():
        tasks = [{"data": self._data(row)._asdict()} for row in rows if row["round_id"] == number]
        _write(path, json.dumps(tasks, indent=1, ensure_ascii=False) + "\n")

  def _data(self, row) -> ls.TaskData:
    path = urllib.parse.quote(row["media_path"])
    url = self._settings.video_url.format(name=urllib.parse.quote(row["video"], safe=""),
                                          path=path, file=path.rpartition("/")[2])
    return ls.TaskData(row["id"], row["video"], row["label"], url, row["fps"],
                       f"Mark every {row['label']} from its start to its end",
                       row["instructions"] or row["label"])

  def _import(self) -> None:
    paths = sorted((self._own / "completed").glob("*.json"))
    before = self._problems
    self._problems = {path: before[path] for path in paths if path in before}
    for path in paths:
      stat = path.stat()
      if self._read.get(path) == (stat.st_mtime_ns, stat.st_size):
        continue
      self._problems[path], final = self._import_file(path)
      if final:
        self._read[path] = (stat.st_mtime_ns, stat.st_size)
      for problem in self._problems[path]:
        if problem not in before.get(path, ()):
          logging.warning("%s", problem)
    _write(self._own / "problems.txt",
           "".join(f"{text}\n" for problems in self._problems.values() for text in problems))

  def _import_file(self, path: pathlib.Path) -> tuple[list[str], bool]:
    """The problems with a file, and whether reading it again as it is can change nothing."""
    try:
      tasks = json.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
      return [f"{path.name}: not a file in JSON ({error})"], True
    tasks = tasks if isinstance(tasks, list) else [tasks]
    problems, final = [], True
    for position, task in enumerate(tasks, start=1):
      try:
        row = self._row(task)
        where = f"{path.name}, task {row['id']} ({row['video']}, {row['label']})"
        for annotation in _completed(task):
          try:
            self._submit(row, annotation)
          except (ls.Bad, RequestError) as error:
            problems.append(f"{where}, annotation {annotation.get('id')}: {error}")
            final = final and isinstance(error, ls.Bad)  # a place may become free
      except ls.Bad as error:
        problems.append(f"{path.name}, entry {position}: {error}")
    return problems, final

  def _row(self, task: Any):
    """The task of the campaign that an entry is about. Raises Bad."""
    data = task.get("data") if isinstance(task, dict) else None
    known = data.get("tal_jax_task") if isinstance(data, dict) else None
    if not isinstance(known, int) or isinstance(known, bool) or not 0 < known < 2**63:
      raise ls.Bad("it is not a task of this program: `data` has no `tal_jax_task`")
    with self._campaign.store.read() as db:
      row = db.execute(_TASKS + "WHERE t.id = ? AND t.round_id IS NOT NULL", (known,)).fetchone()
    if row is None or (row["video"], row["label"], row["fps"]) != (
        data.get("tal_jax_video"), data.get("label"), data.get("fps")):
      raise ls.Bad(f"its task {known} is not a task of this campaign")
    return row

  def _submit(self, row, annotation: dict[str, Any]) -> None:
    """Stores an annotation unless it is there. Raises Bad or RequestError."""
    given = ls.segments(annotation.get("result"), row["label"], row["fps"], row["duration"])
    name = f"label_studio:{ls.completer(annotation)}"
    number = annotation.get("id")
    if isinstance(number, bool) or not isinstance(number, int | str):
      raise ls.Bad("it has no `id`")
    digest = hashlib.sha256(repr((row["id"], str(number))).encode("utf-8", "surrogatepass"))
    submission = f"ls {row['id']} {digest.hexdigest()[:32]}"
    with self._campaign.store.write() as db:
      worker = outsiders.worker_id(db, name, now=self._campaign.clock())
      known = db.execute("SELECT 1 FROM assignments WHERE submission_id = ?",
                         (submission,)).fetchone()
    if not known:
      outsiders.take(self._campaign, worker, row["id"])
    answers.submit(self._campaign, worker, row["id"], submission, given)


def _completed(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
  """The annotations of an entry that were not cancelled. Raises Bad."""
  annotations = task.get("annotations")
  if not isinstance(annotations, list) or not all(isinstance(a, dict) for a in annotations):
    raise ls.Bad("it has no list `annotations`: export the project in the format JSON")
  return (a for a in annotations if not a.get("was_cancelled"))


def _write(path: pathlib.Path, text: str) -> None:
  """All or nothing, and only if the text is another."""
  with contextlib.suppress(OSError, UnicodeDecodeError):
    if path.read_text("utf-8") == text:
      return
  part = path.with_name(path.name + ".part")
  try:
    part.write_text(text, "utf-8")
    os.replace(part, path)
  except OSError as error:
    raise DataError(f"cannot write {path}: {error.strerror}") from error
