"""Runs an annotation campaign: the learner asks for videos, people mark actions in a browser.

    python -m experiments.annotate --config=configs/campaign.py --workdir=DIR \
        --config.campaign.videos=videos --config.campaign.labels=labels.json \
        --config.data.features=features

Everything is in the work directory: stop it with Ctrl-C, or kill it, and the same command goes on.
Only its owner can read what is in it.

    campaign.sqlite     tasks, answers, annotators, and all that happened
    links.txt           the personal links of annotators and operators: keep it private
    annotations.json    the data set so far, in ActivityNet's format: follows every decision
    metrics.jsonl       a row per round; selections.jsonl: which videos were chosen in it
    checkpoints/        the learner after each round
    media/              videos as browsers can play and step them

--role=server serves and brings tasks to people, --role=learner selects and trains; the two may run
beside each other in two processes on one machine. --role=all, the default, serves, and has the
learner in a process of its own, which it starts again if that fails (`learner_supervisor`).
"""

from __future__ import annotations

import contextlib
import functools
import pathlib
import re
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator

import filelock
import jax
import msgspec
from absl import flags, logging
from ml_collections import ConfigDict, config_flags

from configs import common
from tal_jax.annotation import learner_status, oracles
from tal_jax.annotation.active import loop
from tal_jax.annotation.campaign import Campaign, require_gold
from tal_jax.annotation.errors import RequestError
from tal_jax.annotation.housekeeping import Board, Part
from tal_jax.annotation.keeping import Keeper
from tal_jax.annotation.oracles import mturk_entry
from tal_jax.annotation.patience import passing
from tal_jax.annotation.rules import ahead, decisions
from tal_jax.annotation.rules.shortfall import Shortfall
from tal_jax.annotation.store import Store
from tal_jax.annotation.videos import proxy_maker
from tal_jax.annotation.web import address, connections, server
from tal_jax.errors import DataError
from tal_jax.runs import cli, unused_settings
from tal_jax.runs.campaign import (
  asked_before,
  folder as annotate_folder,
  learner as annotate_learner,
  learner_messages,
  learner_supervisor,
  setup as annotate_setup,
)
from tal_jax.runs.reporter import Reporter

ROLES = ("all", "server", "learner")
_TOKEN = re.compile(r"#[A-Za-z0-9_-]{40,}")  # of a personal link


def run(config: ConfigDict, workdir: str | pathlib.Path, role: str = "all", *,
        print_links: bool = True) -> None:
  """Runs a campaign, or goes on with it; see the module.

  `print_links`: whether what is printed has the tokens of the personal links.

  Returns when the budget is spent, unless `campaign.serve_when_done` keeps the pages up.

  Raises:
    DataError: a setting, the data, or the work directory cannot be used.
  """
  config = annotate_setup.checked(config)
  folder = pathlib.Path(workdir)
  folder.parent.mkdir(parents=True, exist_ok=True)
  with contextlib.ExitStack() as stack:
    stack.enter_context(_as_data_errors(folder))
    stack.enter_context(annotate_folder.private())
    folder.mkdir(exist_ok=True)
    for name in ROLES[1:] if role == "all" else (role,):
      stack.enter_context(_alone(folder, name))
    report = stack.enter_context(Reporter("annotate", counts_steps=role != "server"))
    for line in annotate_folder.make_private(folder):
      report.say(line)
    with _alone(folder, "setup", wait=True):  # of a server and a learner that start together
      annotate_folder.check_whole(folder)
      setup = annotate_setup.look(config, folder / annotate_setup.MEDIA, report)
      opened = stack.enter_context(Store(folder / annotate_folder.DATABASE))
      campaign = Campaign(opened, annotate_setup.policy(config), time.time)
      setup, remarks = asked_before.settled(campaign, setup)
      for line in remarks:
        report.say(line)
      annotate_setup.fill(campaign, setup, folder / annotate_setup.MEDIA,
                          instructions=config.campaign.instructions)
      ahead.refresh(campaign, setup.intended, may_open=annotate_learner.opens_early(config))
      decisions.recount_all(campaign)
      with opened.read() as db:
        require_gold(db, campaign.policy)
    if role != "server" and (line := unused_settings.line(config, common.defaults())):
      report.say(line)
    advance, board = _nothing, Board(report.say)
    if role == "learner":
      annotate_learner.run(config, campaign, setup, folder, report, advance)
    else:
      advance = stack.enter_context(_serving(config, campaign, setup, folder, report, board,
                                             print_links=print_links))
      learner_status.forget(campaign)
    if role == "all":
      report.bar.close()  # the learner has its own
      job = learner_messages.Job(config, setup, folder, logging.get_verbosity())
      _look_after(learner_supervisor.Supervisor(job, campaign, report.say), advance, board,
                  config.campaign.poll_seconds)
    if role != "server":
      report.say(f"the campaign is finished: {folder / annotate_learner.EXPORT}")
    if role == "server" or (role == "all" and config.campaign.serve_when_done):
      while True:
        advance()
        time.sleep(config.campaign.poll_seconds)


def _look_after(supervisor: learner_supervisor.Supervisor, advance: Callable[[], None],
                board: Board, poll_seconds: float) -> None:
  """Until the learner has finished the campaign; it may fail and start again meanwhile."""
  part = Part("looking after the learner", supervisor.step, board, supervisor.folder,
              ends=lambda error: error is supervisor.refused)
  with learner_supervisor.running(supervisor):
    while not supervisor.finished:
      advance()
      part.step()
      time.sleep(poll_seconds)


@contextlib.contextmanager
def _serving(config: ConfigDict, campaign: Campaign, setup: annotate_setup.Setup,
             folder: pathlib.Path, report: Reporter, board: Board, *,
             print_links: bool) -> Iterator[Callable[[], None]]:
  """Serves in a thread, and gives what is to be done every few seconds, whatever fails in it."""
  options = config.campaign
  examples = {name: msgspec.to_builtins(text.example) for name, text in setup.texts.items()
              if text.example}
  by_link_only = options.oracle in ("local", "simulated")
  app = server.build_app(
      campaign, title=options.title, origin=options.address or None,
      suggestions=options.suggestions, examples=examples,
      program=server.Program(lambda: loop.is_finished(campaign), board.troubles),
      by_link_only=by_link_only,
      crowd_origins=mturk_entry.SUBMIT_TO if options.oracle == "mturk" else ())
  media = folder / annotate_setup.MEDIA
  proxy_maker.clean(media)
  maker = proxy_maker.Maker(campaign, functools.partial(
      annotate_setup.make_ready, setup, media, height=options.proxy_height), say=report.say,
                            board=board)
  with (server.running(app, options.host, options.port, board=board) as url,
        proxy_maker.running(maker, options.poll_seconds)):
    oracle = oracles.make(options.oracle, campaign, _settings(config, url), folder)
    lines = oracle.start()
    for line in lines if print_links else _without_tokens(lines):
      report.say(line)
    for line in address.for_others(options.address or url):
      report.say(line)
    steps = {"handing out tasks": oracle.advance,
             "writing the data set": Keeper(campaign, folder / annotate_learner.EXPORT).step}
    if by_link_only:
      steps["looking for tasks that too few can answer"] = Shortfall(campaign, report.say).step
    parts = [Part(name, step, board, folder) for name, step in steps.items()]

    def advance() -> None:
      for part in parts:
        part.step()

    try:
      yield advance
    finally:
      oracle.stop()


def _settings(config: ConfigDict, url: str) -> dict:
  """Of the oracle; names from a command line arrive as one text with commas."""
  settings = dict(config.campaign.get(config.campaign.oracle, ConfigDict()).to_dict())
  for name, value in settings.items():
    if isinstance(value, tuple):
      settings[name] = cli.names(value)
  return {"address": config.campaign.address or url} | settings


def _without_tokens(lines: list[str]) -> list[str]:
  """What may stand in a log file."""
  found = [_TOKEN.sub("#...", line) for line in lines]
  return found if found == lines else [
      *found, "The links are not shown in full, since this may be a log file: --print_links."]


def _nothing() -> None:
  pass


@contextlib.contextmanager
def _alone(folder: pathlib.Path, role: str, *, wait: bool = False) -> Iterator[None]:
  """One process has the role in a work directory; the system forgets it when it dies."""
  lock = filelock.FileLock(folder / f"{role}.lock", timeout=-1 if wait else 0)
  try:
    lock.acquire()
  except filelock.Timeout as error:
    raise DataError(f"{folder}: another process has the role {role!r} in this campaign: stop "
                    "it first, or give another --workdir") from error
  try:
    yield
  finally:
    lock.release()


@contextlib.contextmanager
def _as_data_errors(folder: pathlib.Path) -> Iterator[None]:
  """What the campaign refuses here comes from its files and settings, not from a request."""
  try:
    yield
  except RequestError as error:
    raise DataError(f"the campaign: {error}") from error
  except (sqlite3.Error, OSError) as error:
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT,
                                                        sqlite3.SQLITE_NOTADB):
      raise DataError(f"{folder / annotate_folder.DATABASE} is damaged ({error}): put a backup "
                      "back") from error
    trouble = passing(error, folder)
    if trouble is None:
      raise
    raise DataError(f"{trouble}; mend that, and the same command goes on") from error


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _stop(*_) -> None:
  """A second signal does not cut short what the first one has begun: it takes some seconds."""
  for name in _SIGNALS:
    signal.signal(name, signal.SIG_IGN)
  raise KeyboardInterrupt


def main() -> None:
  for name in _SIGNALS:
    if signal.getsignal(name) != signal.SIG_IGN:  # as nohup has it
      signal.signal(name, _stop)
  config = _CONFIG.value
  with config.unlocked():
    for name, flag in (("host", _HOST), ("port", _PORT)):
      if flag.value is not None:
        config.campaign[name] = flag.value
  if _ROLE.value != "learner":
    jax.config.update("jax_platforms", "cpu")  # an accelerator is for the learner's process
  connections.allow_more()
  terminal = sys.stderr.isatty()
  run(config, _WORKDIR.value, _ROLE.value,
      print_links=terminal if _LINKS.value is None else _LINKS.value)


if __name__ == "__main__":
  _CONFIG = config_flags.DEFINE_config_file("config", None, "Configuration of the campaign.")
  _WORKDIR = flags.DEFINE_string("workdir", None, "Where everything is kept, and goes on.")
  _ROLE = flags.DEFINE_enum("role", "all", ROLES, "What this process does.")
  _HOST = flags.DEFINE_string("host", None, "Address to serve at; default: campaign.host.")
  _PORT = flags.DEFINE_integer("port", None, "Port to serve at; default: campaign.port.")
  _LINKS = flags.DEFINE_bool(
      "print_links", None, "Prints the personal links in full; default: on a terminal only, so "
      "that no log file has them. links.txt has them always.")
  flags.mark_flags_as_required(["config", "workdir"])
  cli.run_main(main)
