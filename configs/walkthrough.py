"""The walk-through of docs/walkthrough: a recording, cut into six clips, to detections.

    python -m experiments.simulate --config=configs/walkthrough.py:walk --workdir=walk/run

`walk` is the folder that the commands before it wrote into (docs/walkthrough/README.md). Three
classes, six clips annotated by hand; two are Knowledge-Source, three Selection, one Testing: enough
to see every part at work, and far too few to compare strategies. About a minute on two cores.
"""

import os

from ml_collections import ConfigDict

from configs import files


def get_config(folder: str = "walk") -> ConfigDict:
  config = files.get_config("list")
  config.name = "walkthrough"
  config.model = "paper"  # or any other: three clips teach none of them much
  config.strategies = ("random", "uncertainty")
  config.seeds = 1
  config.batch_size, config.initial_ratio = 1, 0.34
  # Neighbouring windows have nearly the same features, and a looser fit decides between them by
  # where it started.
  config.svm.tol = 1e-6
  data = config.data
  data.annotations = "docs/walkthrough/annotations.json"
  data.split.path = "docs/walkthrough/split.json"
  data.features = os.path.join(folder, "features")
  data.proposals = os.path.join(folder, "proposals", "proposals.json")
  return config
