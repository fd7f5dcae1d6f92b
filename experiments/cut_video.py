"""Cuts a long recording into clips that can be annotated, split and learnt from one by one.

    python -m experiments.cut_video --video=recording.mp4 --at=21,47.5 --output=clips

writes clips/recording_0.mp4, recording_1.mp4 and recording_2.mp4; times in a clip start at 0.
Active learning chooses among videos, so a single long one has to be cut; cut where nothing happens.
"""

from __future__ import annotations

import sys

from absl import flags

from tal_jax.errors import DataError
from tal_jax.runs import cli
from tal_jax.video import clips


def times(texts: list[str]) -> list[float]:
  """Seconds from the flag.

  Raises:
    DataError: not a number.
  """
  try:
    return [float(text) for text in texts]
  except ValueError as error:
    raise DataError(f"--at={','.join(texts)}: times are seconds, for instance --at=21,47.5.") from (
        error)


def main() -> None:
  made = clips.cut(flags.FLAGS.video, times(flags.FLAGS.at), flags.FLAGS.output,
                   warn=lambda text: print(f"warning: {text}", file=sys.stderr))
  for path in made:
    print(path)


if __name__ == "__main__":
  flags.DEFINE_string("video", None, "The recording.", required=True)
  flags.DEFINE_list("at", None, "Seconds at which to cut, with commas between.", required=True)
  flags.DEFINE_string("output", None, "Folder of the clips.", required=True)
  cli.run_main(main)
