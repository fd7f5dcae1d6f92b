"""What all binaries share: a fault of the user's ends with plain lines and exit code 2.

A fault in the code still ends with its traceback and exit code 1: it is to be reported, not
mended by the user. With `-v=1` a user's fault shows its traceback, too.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import NoReturn

from absl import app, flags, logging

from tal_jax.errors import DataError
from tal_jax.runs import compilation_cache, config_options

USER_ERROR = 2
INTERRUPTED = 130  # the shells' code for Ctrl-C


def run_main(main: Callable[[], None]) -> NoReturn:
  """Parses the flags, calls `main()`, with compiled programs kept for the next run, and exits.

  Exit codes: 0; 2 with plain lines on stderr for a flag that does not parse, an argument that is
  not a flag, a DataError, or an OSError (no such file, no permission, disk full); 130 after
  Ctrl-C. Other exceptions pass through.
  """
  def guarded(argv: Sequence[str]) -> None:
    try:
      if not flags.FLAGS["verbosity"].present:
        logging.set_verbosity(logging.WARNING)  # orbax logs every save
      if len(argv) > 1:
        raise DataError(f"unexpected argument {argv[1]!r}: options are written --name=value")
      compilation_cache.enable()
      main()
      sys.stdout.flush()
    except BrokenPipeError:  # the reader of a pipe, such as `head`, has seen enough
      os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (DataError, OSError) as error:
      logging.debug("The fault in full", exc_info=True)
      _fail(_os_message(error) if isinstance(error, OSError) else str(error))
    except KeyboardInterrupt:
      print("interrupted", file=sys.stderr)
      sys.exit(INTERRUPTED)

  app.run(guarded, flags_parser=_parse)


def names(entries: Iterable[str]) -> tuple[str, ...]:
  """The names in a field of a config.

  From a command line they arrive as one text with commas, or as numbers where they look like such.
  """
  return tuple(name.strip() for entry in entries for name in str(entry).split(",")
               if name.strip())


def _parse(argv: Sequence[str]) -> list[str]:
  known = flags.FLAGS
  if missing := config_options.missing_file(known, argv):
    _fail(missing)
  try:
    rest = known(config_options.with_lists(known, argv))
  except (flags.Error, AttributeError, LookupError, TypeError, ValueError) as error:
    if isinstance(error, flags.UnrecognizedFlagError) and "." in error.flagname:
      _fail(config_options.unknown(known, argv, error.flagname))
    if fault := config_options.misfit(known, argv):
      _fail(fault)
    if not isinstance(error, flags.Error):
      raise
    # ml_collections puts the traceback of a failing get_config into the message: keep its ends.
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    _fail(" ".join(lines[:1] + lines[-1:] if "Traceback" in str(error) else lines)
          + "\nSee --help for the options.")
  if twice := config_options.given_twice(known, argv):
    print(f"note: {twice}", file=sys.stderr)
  return rest


def _os_message(error: OSError) -> str:
  if error.strerror is None:
    return str(error)
  return f"{error.filename}: {error.strerror}" if error.filename else error.strerror


def _fail(message: str) -> NoReturn:
  print(f"error: {message}", file=sys.stderr)
  sys.exit(USER_ERROR)
