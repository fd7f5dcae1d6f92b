"""Active learning on real data: HAPT, activities and postural transitions from a waist sensor.

    TAL_JAX_DATA=/data python -m experiments.simulate --config=configs/hapt.py
        the best of the models on held-out labels, with the strategies that read any model
    TAL_JAX_DATA=/data python -m experiments.simulate --config=configs/hapt.py:paper
        the paper's model and strategies: 24 minutes on two busy cores, 3.2 GiB
    TAL_JAX_DATA=/data python -m experiments.simulate --config=configs/hapt.py:smoke
        the paper's model, seconds

Reads $TAL_JAX_DATA/hapt: hapt.json (340 one-minute clips, 12 classes, 1,214 instances) and
features/ID.npy (64 features at 5 Hz). No figure of the paper: it has no sensor data. The protocol
is Sec. 4.1's with people instead of classes: of the 21 people of the training set 6 are
Knowledge-Source and 15 Selection, drawn for each seed; the 9 of the validation set are
Testing.

`:paper` on two cores of an Intel Xeon (2.3 GHz), five seeds: full-training mAP 0.224 to 0.240;
AULC with 95 % interval: random 0.92 +- 0.02, uncertainty 0.86 +- 0.03, its binary variant
0.88 +- 0.03, margin 0.85 +- 0.02, MCLE 0.89 +- 0.02, LAL 0.87 +- 0.04, greedy
oracle 1.03 +- 0.04.

The windows were chosen before any selection function was run, among nine settings by the full-label
mAP of one split: the level is a little optimistic for that, the comparison of strategies is not.
"""

import os

from ml_collections import ConfigDict

from configs import common

VARIANTS = ("default", "paper", "smoke")


def get_config(variant: str = "default") -> ConfigDict:
  if variant not in VARIANTS:
    raise ValueError(f"configs/hapt.py has no variant {variant!r}: there are "
                     f"{', '.join(VARIANTS)}")
  config = common.defaults()
  config.name = f"hapt:{variant}"
  if variant == "default":
    config.model = "auto"
    config.strategies = ("random", "uncertainty", "uncertainty_binary", "margin")
  else:
    config.strategies = ("random", "uncertainty", "uncertainty_binary", "margin", "mcle", "lal",
                         "greedy_oracle")
  config.seeds = 5
  config.initial_ratio, config.batch_size = 0.05, 8
  # Knowledge-Source has some 65 clips: 42 to draw from, the rest to measure on.
  config.lal.labeled_sizes, config.lal.extras_per_episode = (5, 10, 20, 28), 12
  config.lal.held_out_ratio = 0.35
  folder = os.path.join(os.environ.get("TAL_JAX_DATA", "data"), "hapt")
  data = config.data
  data.source = "files"
  data.annotations = os.path.join(folder, "hapt.json")
  data.features = os.path.join(folder, "features")
  data.stride, data.window = 10.0, 50.0  # samples; the file gives 50 Hz
  data.windows = ConfigDict({"shortest": 2.5, "longest": 40.0, "ratio": 1.3, "overlap": 0.8})
  data.split = ConfigDict({"kind": "subject", "num_knowledge_subjects": 6})
  data.caption = ("HAPT: 340 one-minute recordings of 30 people, 12 activities and postural "
                  "transitions (Reyes-Ortiz et al.)")
  if variant == "smoke":
    config.seeds, config.budget_ratio = 1, 0.2
    config.strategies = ("random", "uncertainty")
  return config
