"""Runs an annotation campaign: the learner asks for videos, people mark actions in a browser.

    python -m experiments.annotate --config=configs/campaign.py --workdir=DIR \
        --config.campaign.videos=videos --config.campaign.labels=labels.json \
        --config.data.features=features

Everything is in the work directory: stop it with Ctrl-C, or kill it, and the same command goes on.

    campaign.sqlite     tasks, answers, annotators, and all that happened
    links.txt           the personal links of annotators and operators: keep it private
    annotations.json    the data set so far, in ActivityNet's format, after every round
    metrics.jsonl       a row per round; selections.jsonl: which videos were chosen in it
    checkpoints/        the learner after each round
    media/              videos as browsers can play and step them

--role=server serves and brings tasks to people, --role=learner selects and trains; the two may run
beside each other in two processes on one machine. --role=all, the default, does both in one.
"""

from __future__ import annotations

import contextlib
import fcntl
import pathlib
import signal
import time
from collections.abc import Callable, Iterator

import msgspec
from absl import flags
from ml_collections import ConfigDict, config_flags

from experiments import annotate_learner, annotate_setup, cli
from experiments.reporter import Reporter
from tal_jax.annotation import loop, oracles
from tal_jax.annotation.campaign import Campaign
from tal_jax.annotation.errors import RequestError
from tal_jax.annotation.oracles import mturk_entry
from tal_jax.annotation.store import Store
from tal_jax.annotation.web import server
from tal_jax.data.types import DataError

ROLES = ("all", "server", "learner")


def run(config: ConfigDict, workdir: str | pathlib.Path, role: str = "all") -> None:
  """Runs a campaign, or goes on with it; see the module.

  Returns when the budget is spent, unless `campaign.serve_when_done` keeps the pages up.

  Raises:
    DataError: a setting, the data, or the work directory cannot be used.
  """
  config = annotate_setup.checked(config)
  folder = pathlib.Path(workdir)
  folder.mkdir(parents=True, exist_ok=True)
  with contextlib.ExitStack() as stack:
    stack.enter_context(_as_data_errors())
    for name in ROLES[1:] if role == "all" else (role,):
      stack.enter_context(_alone(folder, name))
    report = stack.enter_context(Reporter("annotate", counts_steps=role != "server"))
    with _alone(folder, "setup", wait=True):  # of a server and a learner that start together
      setup = annotate_setup.look(config, folder / annotate_setup.MEDIA, report)
      opened = stack.enter_context(Store(folder / "campaign.sqlite"))
      campaign = Campaign(opened, annotate_setup.policy(config), time.time)
      annotate_setup.fill(campaign, setup, folder / annotate_setup.MEDIA,
                          instructions=config.campaign.instructions)
    advance = _nothing
    if role != "learner":
      advance = stack.enter_context(_serving(config, campaign, setup, folder, report))
    if role != "server":
      annotate_learner.run(config, campaign, setup, folder, report, advance)
      report.say(f"the campaign is finished: {folder / annotate_learner.EXPORT}")
    if role == "server" or (role == "all" and config.campaign.serve_when_done):
      while True:
        advance()
        time.sleep(config.campaign.poll_seconds)


@contextlib.contextmanager
def _serving(config: ConfigDict, campaign: Campaign, setup: annotate_setup.Setup,
             folder: pathlib.Path, report: Reporter) -> Iterator[Callable[[], None]]:
  """Serves in a thread, and gives the step of the oracle."""
  options = config.campaign
  if options.host in ("0.0.0.0", "::") and not options.address:
    raise DataError(f"campaign.host = {options.host!r}: links need a name under which people reach "
                    "this machine: add --config.campaign.address=http://NAME:PORT")
  examples = {name: msgspec.to_builtins(text.example) for name, text in setup.texts.items()
              if text.example}
  app = server.build_app(
      campaign, title=options.title, origin=options.address or None,
      suggestions=options.suggestions, examples=examples,
      finished=lambda: loop.is_finished(campaign), by_link_only=options.oracle == "local",
      crowd_origins=mturk_entry.SUBMIT_TO if options.oracle == "mturk" else ())
  with server.running(app, options.host, options.port) as url:
    oracle = oracles.make(options.oracle, campaign, _settings(config, url), folder)
    for line in oracle.start():
      report.say(line)
    try:
      yield oracle.advance
    finally:
      oracle.stop()


def _settings(config: ConfigDict, url: str) -> dict:
  """Of the oracle; names from a command line arrive as one text with commas."""
  settings = dict(config.campaign.get(config.campaign.oracle, ConfigDict()).to_dict())
  for name, value in settings.items():
    if isinstance(value, tuple):
      settings[name] = cli.names(value)
  return {"address": config.campaign.address or url} | settings


def _nothing() -> None:
  pass


@contextlib.contextmanager
def _alone(folder: pathlib.Path, role: str, *, wait: bool = False) -> Iterator[None]:
  """One process has the role in a work directory; the system forgets it when it dies."""
  with (folder / f"{role}.lock").open("a") as file:
    try:
      fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
      raise DataError(f"{folder}: another process has the role {role!r} in this campaign: stop "
                      "it first, or give another --workdir") from error
    yield


@contextlib.contextmanager
def _as_data_errors() -> Iterator[None]:
  """What the campaign refuses here comes from its files and settings, not from a request."""
  try:
    yield
  except RequestError as error:
    raise DataError(f"the campaign: {error}") from error


def _stop(*_) -> None:
  raise KeyboardInterrupt


def main() -> None:
  signal.signal(signal.SIGTERM, _stop)
  config = _CONFIG.value
  with config.unlocked():
    for name, flag in (("host", _HOST), ("port", _PORT)):
      if flag.value is not None:
        config.campaign[name] = flag.value
  run(config, _WORKDIR.value, _ROLE.value)


if __name__ == "__main__":
  _CONFIG = config_flags.DEFINE_config_file("config", None, "Configuration of the campaign.")
  _WORKDIR = flags.DEFINE_string("workdir", None, "Where everything is kept, and goes on.")
  _ROLE = flags.DEFINE_enum("role", "all", ROLES, "What this process does.")
  _HOST = flags.DEFINE_string("host", None, "Address to serve at; default: campaign.host.")
  _PORT = flags.DEFINE_integer("port", None, "Port to serve at; default: campaign.port.")
  flags.mark_flags_as_required(["config", "workdir"])
  cli.run_main(main)
