"""What a run says while it works: one progress bar with an ETA, and lines above it.

Of several processes only the writer talks (`devices.is_writer`).
"""

from __future__ import annotations

import sys
import time

from tqdm import tqdm

from tal_jax import devices

_REDRAW_SECONDS = 0.5  # at least from one to the next
_CLEAR = "\r\x1b[2K"  # a line of a terminal


class Reporter:
  """Reports to stderr. `bar` counts learner steps; its postfix shows the work inside one."""

  def __init__(self, desc: str, *, counts_steps: bool = True):
    self._talks = devices.is_writer()
    self._drawn = 0.0
    self.bar = tqdm(desc=desc, unit="step", dynamic_ncols=True, smoothing=0.1,
                    mininterval=_REDRAW_SECONDS, disable=not self._talks,
                    bar_format=None if counts_steps else "{desc}: {elapsed}{postfix}")

  def say(self, text: str) -> None:
    """Writes a line, above the bar; a closed bar may have one of another process in its place."""
    if self._talks and self.bar.disable:
      sys.stderr.write(f"{_CLEAR if sys.stderr.isatty() else chr(10)}{text}\n")
      sys.stderr.flush()
    elif self._talks:
      tqdm.write(text, file=sys.stderr)

  def expect_more(self, steps: int) -> None:
    """Sets the total to what is done plus `steps`."""
    self.bar.total = self.bar.n + steps
    self.bar.refresh()

  def working(self, what: str, done: int, total: int) -> None:
    """Progress inside a step, e.g. of loading videos."""
    self.bar.set_postfix_str(f"{what} {done}/{total}", refresh=False)
    if time.monotonic() - self._drawn >= _REDRAW_SECONDS:
      self.bar.refresh()  # not update(0), which after a first step redraws no more
      self._drawn = time.monotonic()

  def step(self, text: str) -> None:
    self.bar.set_postfix_str(text, refresh=False)
    self.bar.update(1)

  def __enter__(self) -> Reporter:
    return self

  def __exit__(self, *_) -> None:
    self.bar.close()
