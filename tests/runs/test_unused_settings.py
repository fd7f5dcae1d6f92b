"""Which settings a run is told to have no effect."""

import pytest

from configs import anet, campaign, common, files, hapt, real
from tal_jax.runs import localizers, unused_settings

DEFAULTS = common.defaults()
CONFIGS = {"anet": lambda: anet.get_config(), "anet:paper": lambda: anet.get_config("paper"),
           "hapt": lambda: hapt.get_config(), "hapt:paper": lambda: hapt.get_config("paper"),
           "real": lambda: real.get_config("rats"), "files": lambda: files.get_config("list"),
           "campaign": campaign.get_config}
# One of each section, and all of `data` that the models that read rows do not.
CHANGED = {"encoder": "mean", "data.normalize": "l2", "data.dtype": "float16",
           "data.proposals": "p.json", "svm.c": 2.0, "attention.nms_threshold": 0.25,
           "classifier.c": 3.0, "classifier.max_iters": 7, "stage_wise.folds": 2,
           "frames.width": 8, "point.members": 1}
ROWS = {"encoder", "data.normalize", "data.dtype", "data.proposals", "svm.c",
        "attention.nms_threshold", "classifier.c", "classifier.max_iters", "stage_wise.folds"}
UNUSED = {"paper": {"stage_wise.folds", "frames.width", "point.members"},
          "stage_wise": {"classifier.c", "frames.width", "point.members"},
          "frames": ROWS | {"point.members"}, "point": ROWS | {"frames.width"},
          "auto": {"classifier.c"}}


@pytest.mark.parametrize("name", list(CONFIGS))
def test_a_shipped_config_has_none(name):
  assert unused_settings.line(CONFIGS[name](), DEFAULTS) == ""


@pytest.mark.parametrize("model", localizers.MODELS)
def test_each_model(model):
  config = files.get_config("list")
  config.model = model
  assert unused_settings.line(config, DEFAULTS) == ""
  config.update_from_flattened_dict(CHANGED)
  said, _, names = unused_settings.line(config, DEFAULTS).partition(": ")
  assert set(names.split(", ")) == UNUSED[model]
  them = "it" if len(UNUSED[model]) == 1 else "them"
  assert said == f"without effect, since model = {model!r} does not read {them}"


def test_one_setting():
  config = anet.get_config()
  config.model, config.encoder = "point", "mean"
  assert unused_settings.line(config, DEFAULTS) == (
      "without effect, since model = 'point' does not read it: encoder")
