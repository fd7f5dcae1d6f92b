"""A public data set that is not there: where it comes from, in one line."""

import pytest

from configs import anet, hapt, real
from experiments import check_data
from tal_jax.data import sources
from tal_jax.errors import DataError


def configs():
  return [hapt.get_config(), *(real.get_config(name) for name in real.SETS)]


@pytest.mark.parametrize("number", range(6))
def test_where_it_comes_from(tmp_path, monkeypatch, number):
  monkeypatch.setenv("TAL_JAX_DATA", str(tmp_path / "none"))
  config = configs()[number]
  with pytest.raises(DataError) as fault:
    check_data.run(config, tmp_path / "out")
  message = str(fault.value)
  assert message.startswith(f"cannot read {config.data.annotations}: No such file")
  assert "comes from" in message and "\n" not in message and "TAL_JAX_DATA" in message
  if "hapt" in config.name:
    assert f"experiments.make_hapt --manual_dir=DIR --output={tmp_path}/none/hapt" in message


def test_features_alone_are_missing(tmp_path, monkeypatch):
  monkeypatch.setenv("TAL_JAX_DATA", str(tmp_path))
  (tmp_path / "rats").mkdir()
  (tmp_path / "rats" / "rats.json").write_text('{"database": {}}')
  with pytest.raises(DataError, match="rats/features: .* rats comes from github.com"):
    check_data.run(real.get_config("rats"), tmp_path / "out")


def test_the_timelines_of_activitynet(tmp_path, monkeypatch):
  monkeypatch.setenv("TAL_JAX_DATA", str(tmp_path))
  options = anet.get_config("annotations").data.to_dict()
  with pytest.raises(DataError, match="offered at activity-net.org"):
    sources.load(options, seed=0, encoder="mean")


def test_other_files_are_just_not_there(tmp_path):
  with pytest.raises(DataError, match="^cannot read .*truth.json: No such file or directory$"):
    config = hapt.get_config()
    config.data.annotations = str(tmp_path / "truth.json")
    check_data.run(config, tmp_path / "out")
