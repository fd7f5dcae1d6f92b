"""Data sets of pooled proposal features: built once, read by every run.

    python -m experiments.build_dataset --config=configs/tfds.py:hapt --manual_dir=downloads \
        --output=datasets
    python -m experiments.simulate --config=configs/tfds.py:hapt --config.data.path=datasets

The variants are the data sets: activitynet13, thumos14, hapt, custom. `build` is what the first
command reads: files that it does not name are looked for in --manual_dir, fields at 0 or "" are
those of the layout (see configs/files.py for their meaning). `data` is what the second reads: the
split is drawn then, and may differ from run to run. The encoder is chosen by the build.
"""

from ml_collections import ConfigDict

from configs import common

_SUBSETS = {"knowledge_subset": "training", "selection_subset": "training",
            "testing_subset": "validation"}
# Its annotations are about with several spellings. Those of its "validation" set train.
_TRAIN, _TEST = ("training", "train", "validation", "Validation"), ("testing", "test", "Test")
_THUMOS = {"knowledge_subset": _TRAIN, "selection_subset": _TRAIN, "testing_subset": _TEST}
_SPLITS = {  # Sec. 4.1 where there are classes enough; people for sensors
    "activitynet13": {"kind": "class", "num_knowledge_classes": 50, **_SUBSETS},
    "thumos14": {"kind": "class", "num_knowledge_classes": 5, **_THUMOS},
    "hapt": {"kind": "subject", "num_knowledge_subjects": 6, **_SUBSETS},
    "custom": {"kind": "class", "num_knowledge_classes": 50, **_SUBSETS},
}


def get_config(dataset: str = "custom") -> ConfigDict:
  if dataset not in _SPLITS:
    raise ValueError(f"configs/tfds.py has no variant {dataset!r}: there are {', '.join(_SPLITS)}")
  config = common.defaults()
  config.name = f"tfds:{dataset}"
  if dataset == "hapt":  # as in configs/hapt.py
    config.initial_ratio, config.batch_size = 0.05, 8
    config.lal.labeled_sizes, config.lal.extras_per_episode = (5, 10, 20, 28), 12
    config.lal.held_out_ratio = 0.35
  else:
    config.mcle.prior = "knowledge_source"  # real search results are not at hand
  config.data.source = "tfds"
  config.data.path = ""  # required: --output of experiments.build_dataset
  config.data.verify = True  # compares the files with their checksums
  config.data.split = ConfigDict(_SPLITS[dataset])

  build = config.build = ConfigDict({"dataset": dataset})
  build.annotations, build.annotations_format = "", "auto"
  build.features, build.features_format, build.feature_key = "", "auto", ""
  build.fps, build.stride, build.window = 0.0, 0.0, 0.0
  build.proposals, build.proposals_format, build.num_proposals = "", "auto", 0
  # 0 everywhere: the data set's own.
  build.windows = ConfigDict({"shortest": 0.0, "longest": 0.0, "ratio": 0.0, "overlap": 0.0})
  build.video_info, build.label, build.background, build.allow_missing = "", "", False, False
  build.dtype = "float32"  # of the features in the files, or "float16"
  build.caption = ""
  return config
