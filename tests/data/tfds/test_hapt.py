"""HAPT from an archive of the public one's layout, and against what was derived from that."""

import collections
import json
import zipfile

import numpy as np
import pytest
import tensorflow_datasets as tfds

from experiments import make_hapt
from tal_jax.data.annotations import read_annotations
from tal_jax.data.features import open_store
from tal_jax.data.tfds import hapt as lib
from tal_jax.data.tfds.builder import TemporalLocalization
from tal_jax.errors import DataError

NAMES = {"exp01_user01": 6205, "exp02_user22": 990}  # samples
LABELS = ((1, 1, 5, 250, 1232), (1, 1, 7, 1233, 1392), (1, 1, 1, 3000, 3600),
          (1, 1, 5, 6000, 6205), (2, 22, 7, 100, 400))
ACTIVITIES = "1 WALKING\n5 STANDING\n7 STAND_TO_SIT\n"


def signals(name):
  rng = np.random.default_rng(NAMES[name])
  return {kind: np.round(rng.normal(size=(NAMES[name], 3)), 6) for kind in ("acc", "gyro")}


def archive(folder, *, prefix="", leave_out="", labels=LABELS):
  folder.mkdir(parents=True, exist_ok=True)
  files = {"activity_labels.txt": ACTIVITIES, "README.txt": "",
           "RawData/labels.txt": "".join(" ".join(map(str, row)) + "\n" for row in labels)}
  for name in NAMES:
    for kind, values in signals(name).items():
      files[f"RawData/{kind}_{name}.txt"] = "".join(
          " ".join(f"{x:.6f}" for x in row) + "\n" for row in values)
  with zipfile.ZipFile(folder / "HAPT Data Set.zip", "w") as file:
    for name, content in files.items():
      if name != leave_out:
        file.writestr(prefix + name, content)
  return folder


def test_clips_and_labels(tmp_path):
  """6205 samples are two clips of 3102.5; the instance over the bound is the second one's."""
  videos = lib.load(archive(tmp_path)).annotations.videos
  assert list(videos) == ["exp01_user01_00", "exp01_user01_01", "exp02_user22_00"]
  first, second, third = videos.values()
  assert (first.duration, first.subset, first.extra) == (62.05, "training",
                                                         {"subject": 1, "fps": 50})
  assert first.labels == ("STANDING", "STAND_TO_SIT") and third.subset == "validation"
  np.testing.assert_allclose(first.segments, [[5, 24.64], [24.66, 27.84]])
  assert second.labels == ("WALKING", "STANDING")
  np.testing.assert_allclose(second.segments, [[0, 9.95], [57.95, 62.05]])
  np.testing.assert_allclose(third.segments, [[2, 8]])


def test_files_for_the_config(tmp_path):
  """What experiments.make_hapt writes is what the archive holds."""
  file = make_hapt.run(archive(tmp_path / "in"), tmp_path / "out" / "hapt")
  found, written = lib.load(tmp_path / "in"), read_annotations(file)
  assert file == tmp_path / "out" / "hapt" / "hapt.json"
  store = open_store(file.parent / "features")
  assert tuple(written.videos) == tuple(found.annotations.videos) and len(store.ids()) == 3
  for video_id, video in found.annotations.videos.items():
    np.testing.assert_array_equal(written.videos[video_id].segments, video.segments)
    values, grid = store.load(video_id)
    np.testing.assert_array_equal(values, found.features(video_id).values)
    assert grid == (50, 10, 50) and dict(written.videos[video_id].extra) == dict(video.extra)


def test_statistics(tmp_path):
  """Each row against a loop over its window, and the power of the bands against Parseval."""
  found = lib.load(archive(tmp_path))
  first, second = (found.features(f"exp01_user01_0{i}").values for i in range(2))
  assert found.features("exp01_user01_00").grid == (50, 10, 50)
  assert (len(first), len(second), first.dtype) == (310, 616 - 310, np.float16)
  raw = signals("exp01_user01")
  columns = [*raw["acc"].T, *raw["gyro"].T, *(np.sqrt((x ** 2).sum(1)) for x in raw.values())]
  for values, row, begin in ((first, 0, 0), (first, 309, 3090), (second, 0, 3100),
                             (second, 305, 6150)):
    got = values[row].reshape(8, 8)
    for i, column in enumerate(columns):
      x = column[begin:begin + 50]
      wanted = [x.mean(), x.std(), x.min(), x.max(), abs(x[1:] - x[:-1]).mean()]
      waves = np.exp(-2j * np.pi * np.outer(np.arange(26), np.arange(50)) / 50) @ x
      wanted += [np.log(1 + sum(abs(waves[k]) ** 2 for k in band))
                 for band in (range(1, 4), range(4, 9), range(9, 26))]
      np.testing.assert_allclose(got[:, i], wanted, rtol=2e-3, atol=1e-3)
      power = np.expm1(got[5:, i].astype(float)).sum() - abs(waves[25]) ** 2 / 2
      np.testing.assert_allclose(power, 50 * 50 / 2 * x.var(), rtol=0.02)


@pytest.mark.parametrize("prefix", ["", "HAPT Data Set/"])
def test_the_unpacked_folder_serves_as_well(tmp_path, prefix):
  packed = lib.load(archive(tmp_path / "zip", prefix=prefix))
  with zipfile.ZipFile(tmp_path / "zip" / "HAPT Data Set.zip") as file:
    file.extractall(tmp_path / "folder")
  unpacked = lib.load(tmp_path / "folder")
  assert unpacked.annotations.classes == packed.annotations.classes
  np.testing.assert_array_equal(*(x.features("exp02_user22_00").values for x in (packed, unpacked)))


@pytest.mark.parametrize("name", lib.ARCHIVES)
def test_both_names_of_the_archive(tmp_path, name):
  (archive(tmp_path) / "HAPT Data Set.zip").rename(tmp_path / name)
  assert len(lib.load(tmp_path).annotations.videos) == 3


@pytest.mark.parametrize(("changes", "message"), [
    ({"leave_out": "activity_labels.txt"}, "has no activity_labels.txt"),
    ({"leave_out": "RawData/gyro_exp02_user22.txt"}, "gyro_exp02_user22.txt"),
    ({"leave_out": "RawData/labels.txt"}, "holds neither 'HAPT Data Set.zip'"),
    ({"labels": [(1, 1, 5, 250)]}, "4 columns, expected 5"),
    ({"labels": [(1, 1, 9, 250, 300)]}, "the activity 9 of exp01_user01")])
def test_an_archive_that_is_not_whole(tmp_path, changes, message):
  with pytest.raises(DataError, match=message):
    lib.load(archive(tmp_path, **changes)).features("exp02_user22_00")


def test_not_a_zip(tmp_path):
  (tmp_path / "HAPT Data Set.zip").write_text("<html>not found")
  with pytest.raises(DataError, match="not a whole zip file"):
    lib.load(tmp_path)


def test_built(tmp_path):
  """The data set from the archive, by the commands of tfds alone."""
  builder = TemporalLocalization(config="hapt", data_dir=tmp_path / "out")
  builder.download_and_prepare(download_config=tfds.download.DownloadConfig(
      manual_dir=archive(tmp_path / "in")))
  assert len(builder.as_data_source("train")) == 2
  record = builder.as_data_source("validation")[0]
  assert record["video_id"] == b"exp02_user22_00" and record["features"].shape[1] == 3 * 64
  assert json.loads(record["extra"]) == {"subject": 22, "fps": 50}
  assert list(builder.info.metadata["inputs"]) == ["HAPT Data Set.zip"]


def test_rows_are_those_of_the_derived_data(data_dir):
  """Clip lengths and numbers of rows of the 340 clips that were cut from the real archive."""
  folder = data_dir / "hapt"
  clips = collections.defaultdict(list)
  for name, video in json.loads((folder / "hapt.json").read_text())["database"].items():
    clips[name[:-3]].append((name, video["duration"]))
  for recording, members in clips.items():
    number = round(sum(duration for _, duration in members) * 50)
    assert len(members) == max(1, number // 3000)
    for k, (name, duration) in enumerate(members):
      begin, end = number * k / len(members), number * (k + 1) / len(members)
      assert abs(duration - (end - begin) / 50) < 1e-3
      rows = range((number - 50) // 10 + 1)[lib._rows(
          lib._Clip(recording, begin, end, k + 1 == len(members)))]
      assert len(rows) == len(np.load(folder / "features" / f"{name}.npy", mmap_mode="r"))
