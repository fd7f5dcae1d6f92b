"""configs/kinetics_localization.py on Kinetics' own csv, with drawn videos in YouTube's place."""

import numpy as np
import pytest

from configs import kinetics_localization
from tal_jax.annotation.active import loop
from tal_jax.annotation.rules import intended
from tal_jax.runs.campaign import setup as annotate_setup
from tal_jax.runs.reporter import Reporter
from tests.encoders.drawing import draw

SECONDS = 60


@pytest.fixture
def config(data_dir, monkeypatch):
  if not (data_dir / "kinetics" / "kinetics-400_val.csv").exists():
    pytest.skip("Kinetics' csv is not there")
  monkeypatch.setenv("TAL_JAX_DATA", str(data_dir))
  return kinetics_localization.get_config()


def test_the_campaign_of_the_paper(config):
  """Sec. 4.2, 5.1 and 5.2: what the paper gives is in the config."""
  made = annotate_setup.checked(_with_videos(config, "videos"))
  assert (made.batch_size, made.campaign.num_classes) == (64, 75)
  assert made.campaign.ask == "labels" and made.campaign.max_videos == 15_000


def _with_videos(config, path):
  config.campaign.videos = str(path)
  config.data.features = "unused"
  return config


def test_the_intended_action_is_asked_for_with_its_clip_as_the_hint(config, tmp_path):
  labels = intended.draw_classes(intended.read_labels(config.campaign.labels), 75, seed=0)
  early = [name for name, asked in labels.items()
           if all(hint[1] <= SECONDS for hint in asked.values())]
  late = next(name for name, asked in labels.items()
              if all(hint[0] > SECONDS for hint in asked.values()))
  other = next(name for name in intended.read_labels(config.campaign.labels)
               if name not in labels)
  names = [*early[:2], late, other, "unknown"]
  for name in names:
    draw(tmp_path / f"{name}.webm", np.arange(SECONDS), size=(32, 32), codec="libvpx",
         pixels="yuv420p", ticks=1)
  made = annotate_setup.checked(_with_videos(config, tmp_path))
  with Reporter("test") as report:
    setup = annotate_setup.look(made, tmp_path / "media", report)
  assert setup.pool == tuple(sorted([*early[:2], late]))
  durations = {name: probe.duration for name, probe in setup.probes.items()}
  assert set(durations.values()) == {float(SECONDS)}
  asks = {ask.video: ask for ask in loop.asks(setup.pool, setup.intended, durations)}
  assert len(asks) == 3  # one task a video: no class but the intended one
  for name in early[:2]:
    (label, hint), = labels[name].items()
    assert (asks[name].label, asks[name].hint) == (label, hint)
    assert hint[1] - hint[0] == 10.0
  assert asks[late].hint is None  # the clip is not in this video
