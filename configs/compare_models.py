"""Localisation models side by side: mAP against labels, at random choice, on the real data sets.

    TAL_JAX_DATA=/data python -m experiments.compare_models --config=configs/compare_models.py \
        --workdir=runs/models
    ... --config=configs/compare_models.py:quick      one split of one set, minutes

Every cell (set, split, model, share of the labels) is trained from nothing, its predictions are
written and measured by experiments.evaluate. In a split all models have the same people in Testing
and the same labelled clips, the smaller shares within the larger ones. No figure of the paper.

What was looked at before the settings were fixed, and the results: docs/results.md.
"""

from ml_collections import ConfigDict

from configs import real

VARIANTS = ("default", "quick")
_UNUSED = ("data", "strategies", "initial_ratio", "budget_ratio", "batch_size", "oracle", "lal",
           "mcle", "tensorboard")


def get_config(variant: str = "default") -> ConfigDict:
  if variant not in VARIANTS:
    raise ValueError(f"configs/compare_models.py has no variant {variant!r}: there are "
                     f"{', '.join(VARIANTS)}")
  config = real.get_config("hapt")  # the models' settings
  for name in _UNUSED:  # a set's own, or of a learning curve
    del config[name]
  config.name = f"compare_models:{variant}"
  config.sets = tuple(real.SETS)  # configs/real.py
  # "frames:linear" is frames with frames.context=linear, and so on.
  config.models = ("paper", "stage_wise", "frames:linear", "frames", "point")
  config.shares = (0.02, 0.05, 0.1, 0.2, 1.0)  # of Selection's clips, at least 2 clips
  config.seeds = 5  # splits
  if variant == "quick":
    config.sets, config.models = ("hapt",), ("paper", "point")
    config.shares, config.seeds = (0.05,), 1
  return config
