"""The real data sets of $TAL_JAX_DATA: people and animals, from sensors, video and poses.

    TAL_JAX_DATA=/data python -m experiments.simulate --config=configs/real.py:bedsensor

| name | what | videos | classes |
|---|---|---|---|
| `hapt` | activities and postural transitions, a phone at the waist (UCI 341) | 340 | 12 |
| `bedsensor` | older people in a hospital room, a batteryless sensor (UCI 427) | 227 | 4 |
| `jaad` | pedestrians at the road, box tracks from dash-cam video (JAAD, 2017) | 485 | 3 |
| `rats` | two rats, pose by DeepLabCut | 417 | 2 |
| `myo` | wrist gestures, muscle signals of an armband | 849 | 7 |

Each is a folder NAME with NAME.json (ActivityNet's format, with a field `subject`) and
features/ID.npy. The split is cold: no Knowledge-Source, and Testing is the clips of three in ten
subjects, drawn for each seed. No figure of the paper. Minutes and results: docs/results.md.
"""

import os

from ml_collections import ConfigDict

from configs import common

# Time grids, and the sliding windows of the models that read proposals: chosen once, by the mAP of
# random choice on the validation subset, before any strategy was compared.
SETS = {
    "hapt": ({"fps": 50.0, "stride": 10.0, "window": 50.0},
             {"shortest": 2.5, "longest": 40.0, "ratio": 1.3, "overlap": 0.8}),
    "bedsensor": ({"fps": 4.0, "stride": 1.0, "window": 1.0},
                  {"shortest": 2.0, "longest": 150.0, "ratio": 1.4, "overlap": 0.7}),
    "jaad": ({"fps": 30.0, "stride": 3.0, "window": 6.0},
             {"shortest": 0.6, "longest": 9.0, "ratio": 1.3, "overlap": 0.75}),
    "rats": ({"fps": 30.0, "stride": 6.0, "window": 15.0},
             {"shortest": 1.8, "longest": 30.0, "ratio": 1.35, "overlap": 0.7}),
    "myo": ({"fps": 200.0, "stride": 40.0, "window": 100.0},
            {"shortest": 3.0, "longest": 7.0, "ratio": 1.25, "overlap": 0.8}),
}


def get_config(name: str = "hapt") -> ConfigDict:
  if name not in SETS:
    raise ValueError(f"configs/real.py has no variant {name!r}: there are {', '.join(SETS)}")
  config = common.defaults()
  config.name = f"real:{name}"
  config.model = "point"
  config.strategies = ("random", "uncertainty", "uncertainty_binary", "margin")
  config.seeds = 5
  config.initial_ratio, config.budget_ratio, config.batch_size = 0.05, 0.3, 8
  folder = os.path.join(os.environ.get("TAL_JAX_DATA", "data"), name)
  data = config.data
  data.source = "files"
  data.annotations = os.path.join(folder, f"{name}.json")
  data.features = os.path.join(folder, "features")
  grid, windows = SETS[name]
  data.fps, data.stride, data.window = grid["fps"], grid["stride"], grid["window"]
  data.windows = ConfigDict(windows)
  data.split = ConfigDict({"kind": "drawn_subjects", "testing_share": 0.3})
  data.caption = f"{name}: subjects of Testing drawn for each seed, no Knowledge-Source"
  return config
