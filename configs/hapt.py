"""placeholder"""

import os

from ml_collections import ConfigDict

from configs import common


def get_config(variant: str = "default") -> ConfigDict:
  config = common.defaults()
  config.name = f"hapt:{variant}"
  config.strategies = ("random", "uncertainty", "uncertainty_binary", "margin", "mcle", "lal",
                       "greedy_oracle")
  config.seeds = 5
  config.initial_ratio, config.batch_size = 0.05, 8
  config.attention.nms_threshold = 0.5
  config.classifier.c, config.classifier.max_iters = 1.0, 100
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
  config.lal.labeled_sizes, config.lal.extras_per_episode = (5, 10, 15, 20), 12
  if variant == "smoke":
    config.seeds, config.batch_size, config.budget_ratio = 1, 8, 0.2
    config.strategies = ("random", "uncertainty")
    config.encoder = "mean"
  elif variant != "default":
    raise ValueError(f"configs/hapt.py has no variant {variant!r}: default or smoke")
  return config
