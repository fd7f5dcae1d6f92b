"""From files to array_record and back: the same pools, the same bytes, whatever happens between."""

import json
import os
import pathlib
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds
from tensorflow_datasets.core import shuffle

from configs import files as files_config, tfds as tfds_config
from experiments import build_dataset, simulate
from tal_jax.data import sources
from tal_jax.data.tfds import builder as builder_lib, parts
from tal_jax.data.tfds.builder import TemporalLocalization
from tal_jax.data.tfds.reader import find
from tal_jax.data.tfds.settings import Settings
from tal_jax.errors import DataError

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).resolve().parents[3]
SPLIT = {"kind": "subject", "num_knowledge_subjects": 2}
WINDOWS = {"shortest": 5.0, "longest": 20.0}


def make(folder, *, suffix="npy"):
  """18 videos of 9 people and two classes, in the order of no alphabet."""
  (folder / "features").mkdir(parents=True)
  rng = np.random.default_rng(0)
  database = {}
  for i in np.random.default_rng(1).permutation(18):
    video_id, label = f"v{i}", int(i) % 2
    values = rng.normal(size=(40, 4)).astype(np.float32)
    values[8:20, label] += 4.0
    if suffix == "npy":
      np.save(folder / "features" / f"{video_id}.npy", values)
    else:
      np.savetxt(folder / "features" / f"{video_id}.csv", values, delimiter=",")
    database[video_id] = {
        "subset": "training" if i < 12 else "validation", "duration": 40.1, "fps": 1,
        "subject": int(i) // 2,
        "annotations": [{"segment": [8.1, 20 + i / 7], "label": f"c{label}"}]}
  database["v3"]["annotations"].append({"segment": [5, 5], "label": "c0"})  # never matched
  (folder / "annotations.json").write_text(json.dumps({"database": database}))
  return folder


def build(folder, output, *, num_shards=None, **settings):
  builder = TemporalLocalization(config="custom", data_dir=output,
                                 settings=Settings(windows=WINDOWS)._replace(**settings))
  builder.download_and_prepare(download_config=tfds.download.DownloadConfig(
      manual_dir=folder, num_shards=num_shards))
  return builder


def load(options, encoder="context", **changes):
  common = {"seed": 0, "normalize": "standardize", "dtype": "float32", "split": SPLIT}
  return sources.load(common | options | changes, seed=1, encoder=encoder)


def from_files(folder, **changes):
  return load({"source": "files", "annotations": str(folder / "annotations.json"),
               "features": str(folder / "features"), "windows": WINDOWS}, **changes)


def assert_same(a, b, **tolerance):
  assert a[1:4] == b[1:4] and a.ids == b.ids
  # All of a pool but its rows, of which there are none.
  arrays = [(x, y) for p, q in zip(a[4:7], b[4:7], strict=True)
            for x, y in zip(p[:-1], q[:-1], strict=True)]
  for x, y in [*arrays, *zip(a.search, b.search, strict=True)]:
    assert x.dtype == y.dtype
    np.testing.assert_allclose(x, y, **({"rtol": 0} | tolerance))
  assert a.testing_annotations.classes == b.testing_annotations.classes
  for x, y in zip(a.testing_annotations.videos.values(), b.testing_annotations.videos.values(),
                  strict=True):
    np.testing.assert_array_equal(x.segments, y.segments)
    assert x._replace(segments=None) == y._replace(segments=None)


def contents(folder):
  return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*")
          if path.is_file()}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
  return make(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def built(data, tmp_path_factory):
  return build(data, tmp_path_factory.mktemp("built"))


@pytest.mark.parametrize("encoder", ["mean", "context"])
def test_the_pools_are_those_of_the_files(data, built, tmp_path, encoder):
  output = built.data_dir if encoder == "context" else tmp_path
  if encoder == "mean":
    build(data, output, encoder="mean")
  got = load({"source": "tfds", "path": str(output), "caption": "annotations.json"}, encoder)
  wanted = from_files(data, encoder=encoder)
  assert_same(got, wanted)
  assert [len(ids) for ids in got.ids] == [4, 8, 6] and got.search is not None
  assert got.ids.selection != tuple(sorted(got.ids.selection))  # the file's order


def test_stored_in_half_precision(data, tmp_path):
  build(data, tmp_path, dtype="float16")
  got = load({"source": "tfds", "path": str(tmp_path)})
  assert got.caption == "annotations.json"
  assert_same(got, from_files(data), atol=5e-3)
  assert not np.array_equal(got.testing.features, from_files(data).testing.features)


def test_data_source(built):
  train, half = built.as_data_source("train"), built.as_data_source("train[:50%]")
  assert len(train) == 12 and len(half) == 6 and len(built.as_data_source("validation")) == 6
  record = half[2]
  assert record["video_id"] == train[2]["video_id"] and record["video_id"].startswith(b"v")
  assert record["features"].shape == (len(record["proposals"]), 12)
  assert record["features"].dtype == np.float32 and record["truths"].dtype == np.float64
  assert json.loads(record["extra"])["fps"] == 1
  other = tfds.builder_from_directory(built.data_dir)
  np.testing.assert_array_equal(other.as_data_source("train[3:4]")[0]["features"],
                                train[3]["features"])
  assert other.info.metadata["classes"] == ["c0", "c1"] and str(other.version) == "1.0.0"
  assert other.info.release_notes == TemporalLocalization.RELEASE_NOTES


def test_same_bytes_from_another_place_and_in_shards(data, built, tmp_path):
  make(tmp_path / "copy")
  (tmp_path / "copy" / "features" / ".DS_Store").write_text("left by a file manager")
  again = build(tmp_path / "copy", tmp_path / "again")
  assert contents(pathlib.Path(again.data_dir)) == contents(pathlib.Path(built.data_dir))
  shards = build(data, tmp_path / "shards", num_shards=3)
  assert len(list(pathlib.Path(shards.data_dir).glob("*train.array_record*of-00003"))) == 3
  assert [x["index"] for x in shards.as_data_source("train")] == [
      x["index"] for x in built.as_data_source("train")]


def test_splits_larger_than_the_memory_of_tfds(data, tmp_path, monkeypatch):
  """What it shuffles it keeps in files of TensorFlow's beyond 1 GB: nothing here is shuffled."""
  monkeypatch.setattr(shuffle, "MAX_MEM_BUFFER_SIZE", 0)
  monkeypatch.setattr(builder_lib, "_SHARD_SIZE", 16 << 10)
  builder = build(data, tmp_path)
  assert builder.info.splits["train"].num_shards > 2
  assert len(builder.as_data_source("train")) == 12


def test_a_killed_build_goes_on(data, built, tmp_path, monkeypatch, capfd):
  pooled, done = parts._pooled, []

  def killed(inputs, video_id):
    if len(done) >= 5:
      raise KeyboardInterrupt
    done.append(video_id)
    return pooled(inputs, video_id)

  monkeypatch.setattr(parts, "_pooled", killed)
  monkeypatch.setattr(parts.os, "cpu_count", lambda: 1)
  with pytest.raises(KeyboardInterrupt):
    build(data, tmp_path)
  (scratch,) = tmp_path.rglob(".parts/*")
  assert len(list(scratch.glob("*.npz"))) == 5
  sorted(scratch.glob("*.npz"))[0].write_bytes(b"")  # as after a power cut
  stale = tmp_path / "temporal_localization/custom/incomplete.ABCDEF_1.0.0"
  stale.mkdir()
  again = []
  monkeypatch.setattr(parts, "_pooled", lambda inputs, i: again.append(i) or pooled(inputs, i))
  build(data, tmp_path)
  assert len(again) == 18 - 4 and set(done[1:]).isdisjoint(again)
  assert "18/18" in capfd.readouterr().err and not stale.exists()
  assert contents(tmp_path / "temporal_localization") == contents(
      pathlib.Path(built.data_dir).parents[1])


def test_parts_of_other_settings_are_not_used(data, tmp_path, monkeypatch):
  with monkeypatch.context() as patch:
    patch.setattr(TemporalLocalization, "_examples", None)  # fails after the pooling
    with pytest.raises(TypeError):
      build(data, tmp_path, encoder="mean")
  assert len(list(tmp_path.rglob("*.npz"))) == 18
  builder = build(data, tmp_path)
  assert builder.as_data_source("train")[0]["features"].shape[1] == 12
  assert not list(tmp_path.rglob("*.npz"))


def test_a_build_killed_before_its_checksums_were_written(data, tmp_path):
  folder = pathlib.Path(build(data, tmp_path).data_dir)
  wanted = contents(folder)
  (folder / "checksums.json").unlink()
  with pytest.raises(DataError, match="not complete.*once more"):
    load({"source": "tfds", "path": str(tmp_path)})
  build(data, tmp_path)
  assert contents(folder) == wanted


def test_inputs_that_changed_are_named(tmp_path):
  data = make(tmp_path / "in")
  build(data, tmp_path / "out")
  build(data, tmp_path / "out")  # the same: nothing to do
  np.save(data / "features" / "v4.npy", np.zeros((40, 4), np.float32) + 1)
  with pytest.raises(DataError, match=r"other inputs \(1 changed: features/v4.npy\).*--overwrite"):
    build(data, tmp_path / "out")
  np.save(data / "features" / "extra.npy", np.ones((40, 4), np.float32))
  with pytest.raises(DataError, match="1 changed: features/v4.npy; 1 new: features/extra.npy"):
    build(data, tmp_path / "out")


def test_settings_that_changed_are_named(data, tmp_path):
  build(data, tmp_path)
  with pytest.raises(DataError, match="other settings .dtype: 'float32', now 'float16'"):
    build(data, tmp_path, dtype="float16")


def test_a_damaged_record_file_is_named(data, tmp_path):
  (file,) = pathlib.Path(build(data, tmp_path).data_dir).glob("*train.array_record*")
  content = bytearray(file.read_bytes())
  content[len(content) // 2] ^= 1
  file.write_bytes(content)
  options = {"source": "tfds", "path": str(tmp_path)}
  with pytest.raises(DataError, match=f"is damaged .1 changed: {file.name}"):
    load(options)


@pytest.mark.parametrize(("dataset", "message"), [
    ("custom", r"(?s)custom: not found in manual_dir = .*none \(it does not exist\).*annotations: "
               r"annotations.json or annotations.csv.*--config.build.annotations"),
    ("activitynet13", "activity_net.v1-3.min.json"), ("thumos14", "thumos14.json"),
    ("hapt", "holds neither 'HAPT Data Set.zip'.*UCI")])
def test_files_that_are_not_there(tmp_path, dataset, message):
  builder = TemporalLocalization(config=dataset, data_dir=tmp_path)
  with pytest.raises(DataError, match=message):
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=tmp_path / "none"))


@pytest.mark.parametrize(("dataset", "name"), [
    ("activitynet13", "activity_net.v1-3.min.json"), ("thumos14", "thumos14.json")])
def test_data_sets_by_name(tmp_path, dataset, name):
  data = make(tmp_path / "in")
  (data / "annotations.json").rename(data / name)
  settings = Settings(encoder="mean", dtype="float16")
  builder = TemporalLocalization(config=dataset, data_dir=tmp_path, settings=settings)
  builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=data))
  # Another builder, without the settings, reads what is there; so does a copy.
  for other in (TemporalLocalization(config=dataset, data_dir=tmp_path),
                pickle.loads(pickle.dumps(builder))):
    record = other.as_data_source("train")[0]
    assert record["features"].dtype == np.float16 and record["features"].shape[1] == 4
    assert len(other.info.metadata["inputs"]) == 19
  assert find(tmp_path).parts[-2:] == (dataset, "1.0.0")


@pytest.mark.parametrize(("settings", "message"), [
    ({"encoder": "max"}, "encoder = 'max'"), ({"dtype": "int8"}, "dtype = 'int8'"),
    ({"windows": {"step": 1}}, "windows: .*step"), ({"annotations_format": "x"}, "'x'")])
def test_wrong_settings(data, tmp_path, settings, message):
  with pytest.raises(DataError, match=message):
    build(data, tmp_path, **settings)


def test_too_large_for_half_precision(tmp_path):
  data = make(tmp_path / "in")
  np.save(data / "features" / "v4.npy", np.full((40, 4), 1e6))
  with pytest.raises(DataError, match="v4: a pooled feature of 1e.06 is too large for float16"):
    build(data, tmp_path / "out", dtype="float16")


def test_videos_without_features(tmp_path):
  """They stay as annotations, so that a split by the same seed is the same, and leave the pools."""
  data = make(tmp_path / "in")
  for video_id in ("v2", "v15"):
    (data / "features" / f"{video_id}.npy").unlink()
  with pytest.raises(DataError, match="(?s)no features.*allow_missing"):
    build(data, tmp_path / "out")
  build(data, tmp_path / "out", allow_missing=True)
  got = load({"source": "tfds", "path": str(tmp_path / "out"), "caption": "annotations.json"})
  assert sum(map(len, got.ids)) == 16
  assert_same(got, from_files(data, allow_missing=True))


def test_another_encoder_is_refused(built):
  with pytest.raises(DataError, match="by the encoder 'context', not 'mean'.*config.encoder=conte"):
    load({"source": "tfds", "path": built.data_dir}, "mean")


def test_the_data_set_is_found_from_above_or_not(built, tmp_path):
  folder = pathlib.Path(built.data_dir)
  assert find(folder) == find(folder.parents[2]) == folder
  for path, message in (("", "data.path is not set"), (tmp_path, "found: none")):
    with pytest.raises(DataError, match=message):
      find(path)


def test_csv_annotations_and_proposals_from_a_file(tmp_path):
  data = make(tmp_path / "in", suffix="csv")
  content = json.loads((data / "annotations.json").read_text())["database"]
  (data / "annotations.json").unlink()
  (data / "annotations.csv").write_text("video_id,subset,duration,start,end,label\n" + "".join(
      f"{i},{v['subset']},{v['duration']},{a['segment'][0]},{a['segment'][1]},{a['label']}\n"
      for i, v in content.items() for a in v["annotations"]))
  (data / "proposals.json").write_text(json.dumps({"results": {
      i: [{"score": s, "segment": [0, 9 + s]} for s in range(3)] for i in content}}))
  builder = build(data, tmp_path / "out", fps=1.0, num_proposals=2, windows={})
  record = builder.as_data_source("validation")[0]
  np.testing.assert_array_equal(record["proposals"], [[0, 11], [0, 10]])
  assert set(builder.info.metadata["inputs"]) >= {"annotations.csv", "proposals.json"}


def test_binary_then_a_learning_curve(data, tmp_path):
  """The commands of the README, in another process, which must not import TensorFlow."""
  code = ("import runpy, sys\nsys.argv = ['build_dataset', *sys.argv[1:]]\n"
          "try:\n  runpy.run_module('experiments.build_dataset', run_name='__main__')\n"
          "except SystemExit as stop:\n  assert not stop.code, stop.code\n"
          "assert 'tensorflow' not in sys.modules and 'torch' not in sys.modules\n")
  done = subprocess.run(
      [sys.executable, "-c", code, "--config=configs/tfds.py:custom", f"--manual_dir={data}",
       f"--output={tmp_path}", "--config.encoder=mean", "--shards=2"],
      cwd=ROOT, env=os.environ | {"JAX_PLATFORMS": "cpu"}, capture_output=True, text=True,
      check=False)
  assert not done.returncode, done.stderr
  assert "train 12 videos in 2 files, validation 6 videos in 2 files" in done.stdout
  assert "18/18" in done.stderr and "Traceback" not in done.stderr
  config = tfds_config.get_config("custom")
  config.encoder = "mean"
  again = build_dataset.run(config, tmp_path / "again", manual_dir=data, num_shards=2)
  assert contents(again) == contents(tmp_path / again.relative_to(tmp_path / "again"))
  assert os.listdir(tmp_path / "again") == ["temporal_localization"]
  shutil.rmtree(tmp_path / "again")
  config.update_from_flattened_dict({
      "data.path": str(tmp_path), "strategies": ("random",), "seeds": 1,
      "batch_size": 4, "initial_ratio": 0.5, "svm.tol": 1e-2})
  config.data.split = SPLIT
  simulate.run(config, tmp_path / "run")
  rows = [json.loads(x) for x in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
  assert [row["num_labeled"] for row in rows] == [4, 8]
  assert rows[-1]["map"] == pytest.approx(rows[-1]["full_map"], rel=0.1) and rows[-1]["map"] > 0


def test_settings_of_configs(data, tmp_path):
  config = files_config.get_config()
  config.data.annotations = str(data / "annotations.json")
  config.data.features = str(data / "features")
  folder = build_dataset.run(config, tmp_path)
  assert folder.parts[-3:] == ("temporal_localization", "custom", "1.0.0")
  assert build_dataset.run(config, tmp_path, overwrite=True, num_shards=2) == folder
  assert len(list(folder.glob("*train.array_record*"))) == 2
  with pytest.raises(DataError, match="--shards=0"):
    build_dataset.run(config, tmp_path, num_shards=0)
  config.data.source = "simulated"
  with pytest.raises(DataError, match="data.source = 'simulated'"):
    build_dataset.run(config, tmp_path)
  for dataset in ("activitynet13", "thumos14", "hapt", "custom"):
    name, settings = build_dataset.dataset_and_settings(tfds_config.get_config(dataset))
    assert name == dataset and settings.encoder == "context"
