"""Localisation models side by side: mAP against labels, at random choice, on the real data sets.

    TAL_JAX_DATA=/data python -m experiments.compare_models --config=configs/compare_models.py \
        --workdir=runs/models
    ... --config=configs/compare_models.py:quick      one split of one set, minutes
    ... --config=configs/compare_models.py:options    stage_wise with each option left out
    ... --config.models=stage_wise,stage_wise:folds=0,voting=0,point:maxpool

Every cell (set, split, model, share of the labels) is trained from nothing, its predictions are
written and measured by experiments.evaluate. In a split all models have the same people in Testing
and the same labelled clips, the smaller shares within the larger ones. No figure of the paper.

`options` has 110 cells a set. On bedsensor a cell takes some 16 CPU seconds, compiling included
(mean of the first twelve), so that the set takes half an hour of one core; 1.1 GiB. No other set
was timed.

What was looked at before the settings were fixed, and the results: docs/results.md.
"""

from ml_collections import ConfigDict

from configs import real

VARIANTS = ("default", "quick", "options")
# The options of stage_wise, each without what it adds.
_LEFT_OUT = ("second_stage=False", "folds=0", "sharpening=0", "nms_sigma=0", "voting=0",
             "average_classes=False", "all_positives=False", "whitened=False",
             "instances_per_dim=0", "exponent=1")
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
  # "frames:linear" is frames with frames.context=linear; tal_jax/runs/model_variants.py has more.
  config.models = ("paper", "stage_wise", "frames:linear", "frames", "point")
  config.shares = (0.02, 0.05, 0.1, 0.2, 1.0)  # of Selection's clips, at least 2 clips
  config.seeds = 5  # splits
  if variant == "quick":
    config.sets, config.models = ("hapt",), ("paper", "point")
    config.shares, config.seeds = (0.05,), 1
  elif variant == "options":
    config.models = ("stage_wise", *(f"stage_wise:{option}" for option in _LEFT_OUT))
    config.shares = (0.1, 1.0)
  return config
