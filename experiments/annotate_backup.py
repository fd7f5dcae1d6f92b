"""Copies a campaign's database into one file, while the campaign runs or not.

    python -m experiments.annotate_backup --workdir=runs/campaign --output=FILE

The copy has every answer that was acknowledged when the command began. Only its owner can read it
(mode 0600), and an existing file is never replaced. To put it back, stop the campaign, move
campaign.sqlite and its -wal and -shm away, and copy FILE to campaign.sqlite.
"""

from __future__ import annotations

import pathlib

from absl import flags

from tal_jax.annotation import backup
from tal_jax.runs import cli


def main() -> None:
  output = pathlib.Path(_OUTPUT.value)
  answers = backup.write(pathlib.Path(_WORKDIR.value) / "campaign.sqlite", output)
  print(f"{output}: {answers} answers, {output.stat().st_size:,} bytes")


if __name__ == "__main__":
  _WORKDIR = flags.DEFINE_string("workdir", None, "The campaign's work directory.")
  _OUTPUT = flags.DEFINE_string("output", None, "The file to write; it must not exist.")
  flags.mark_flags_as_required(["workdir", "output"])
  cli.run_main(main)
