"""placeholder"""

from ml_collections import ConfigDict

from configs import common


def get_config(variant: str = "default") -> ConfigDict:
  config = common.defaults()
  config.name = f"anet:{variant}"
  data = config.data
  data.source = "simulated"
  data.num_knowledge_classes, data.num_selection_classes = 50, 150  # Sec. 4.1
  data.num_knowledge_videos = 500
  data.num_selection_videos = 1000
  data.num_testing_videos = 500
  data.num_search_per_class = 12  # what a search can find, for the prior of MCLE
  data.frame_dim = 64
  data.num_proposals = 32
  if variant == "smoke":
    config.seeds = 1
    config.initial_ratio, config.budget_ratio, config.batch_size = 0.2, 0.6, 16
    data.num_knowledge_classes, data.num_selection_classes = 5, 10
    data.num_knowledge_videos, data.num_selection_videos, data.num_testing_videos = 60, 100, 50
    data.num_search_per_class = 4
    config.mcle.results_per_class = 4
    data.frame_dim, data.num_proposals = 32, 16
    config.lal.labeled_sizes, config.lal.episodes_per_size = (8, 16), 6
    config.lal.extras_per_episode = 8
    config.lal.cs, config.lal.gamma_factors = (1.0,), (1.0,)
    config.classifier.max_iters = 20
  elif variant == "paper":
    config.encoder = "mean"  # Sec. 3.1
    data.num_knowledge_videos, data.num_selection_videos = 2790, 11160  # Sec. 4.1
    data.num_testing_videos = 3724
    data.frame_dim, data.num_proposals = 2048, 64
    data.dtype = "float16"
    config.lal.labeled_sizes = (50, 100, 200, 400)
  elif variant != "default":
    raise ValueError(f"configs/anet.py has no variant {variant!r}: default, smoke or paper")
  return config
