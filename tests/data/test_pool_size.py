"""How much room pools take: by hand, and before any is taken."""

import shutil

import numpy as np
import pytest

from tal_jax.data import assemble, pool_size
from tal_jax.data.annotations import from_videos
from tal_jax.data.pool_size import Set, TooLarge
from tal_jax.data.records import FrameFeatures, RawData, Split, TimeGrid, VideoAnnotation
from tal_jax.errors import DataError

# 200 videos of 383 proposals and one of 50,326: 201 * 50,326 * 3,072 * 4 bytes are 124.3 GB.
LONG = {"selection": Set([*(f"v{i}" for i in range(200)), "two_hours"], [383] * 200 + [50_326]),
        "testing": Set([], []), "knowledge_source": Set([], [])}
OPTIONS = dict(dim=3072, itemsize=4, stored=("selection", "testing"))


@pytest.fixture
def machine(monkeypatch):
  monkeypatch.setattr(pool_size, "memory", lambda: 24 * 10**9)


def test_one_long_video(machine, tmp_path):
  with pytest.raises(TooLarge) as caught:
    pool_size.check(LONG, storage="", **OPTIONS)
  said = str(caught.value)
  assert said.startswith("'two_hours' alone has 50,326 proposals, half of the 201 videos at most "
                         "383: the pool would need 124 GB ")
  assert "the machine has 24 GB, of which a pool may take 40%" in said
  for mend in ("data.num_proposals=N", "data.windows.shortest", "experiments.cut_video",
               "data.storage=FOLDER (memory-mapped files, 1.6 GB on the disk)"):
    assert mend in said
  pool_size.check(LONG, storage=str(tmp_path), **OPTIONS)  # the disk has room for what is there


def test_the_bound_itself(monkeypatch):
  sets = {"selection": Set(["a", "b"], [3, 5]), "testing": Set(["c"], [2])}
  need = (2 * 5 + 1 * 2) * 7 * 4
  for memory, fits in ((need / 0.4 + 1, True), (need / 0.4 - 1, False)):
    monkeypatch.setattr(pool_size, "memory", lambda memory=memory: memory)
    if fits:
      pool_size.check(sets, dim=7, itemsize=4, storage="", stored=())
    else:
      with pytest.raises(TooLarge, match="^3 videos have 5 proposals at most"):
        pool_size.check(sets, dim=7, itemsize=4, storage="", stored=())


def test_the_disk(machine, monkeypatch, tmp_path):
  """Only what is there takes room in a file: (200 * 383 + 50,326) * 3,072 * 4 bytes."""
  bytes_there = (200 * 383 + 50_326) * 3072 * 4
  for free, fits in ((bytes_there, True), (bytes_there - 1, False)):
    monkeypatch.setattr(shutil, "disk_usage", lambda path, free=free: shutil._ntuple_diskusage(
        10**13, 0, free))
    if fits:
      pool_size.check(LONG, storage=str(tmp_path / "not" / "there"), **OPTIONS)
    else:
      with pytest.raises(DataError, match="need 1.6 GB there.*'two_hours' alone has 50,326"):
        pool_size.check(LONG, storage=str(tmp_path), **OPTIONS)


def test_what_stays_in_memory_beside_files(machine, tmp_path):
  known = LONG | {"knowledge_source": LONG["selection"], "selection": Set(["a"], [1])}
  with pytest.raises(TooLarge, match="'two_hours' alone"):
    pool_size.check(known, storage=str(tmp_path), **OPTIONS)


def test_memory_of_a_control_group(monkeypatch, tmp_path):
  whole = pool_size.memory()
  group = tmp_path / "a" / "b"
  group.mkdir(parents=True)
  (tmp_path / "own").write_text("0::/a/b\n")
  monkeypatch.setattr(pool_size, "_CGROUPS", tmp_path)
  monkeypatch.setattr(pool_size, "_OWN_CGROUP", tmp_path / "own")
  (group / "memory.max").write_text("max\n")
  assert pool_size.memory() >= whole
  (tmp_path / "a" / "memory.max").write_text("1000000\n")  # of a group above
  assert pool_size.memory() == 1_000_000
  (group / "memory.max").write_text("5000\n")
  assert pool_size.memory() == 5000
  monkeypatch.setattr(pool_size, "_OWN_CGROUP", tmp_path / "none")
  assert pool_size.memory() >= whole


def test_sizes_for_people():
  assert [pool_size.size(x) for x in (124.3e9, 1.56e9, 9.99e6, 250_000)] == [
      "124 GB", "1.6 GB", "10.0 MB", "250 kB"]


def raw(read):
  durations = {"a": 4.0, "b": 6.0, "long": 40.0, "t": 5.0}
  videos = [VideoAnnotation(name, "x", duration, np.array([[0.0, 2.0]]), ("run",))
            for name, duration in durations.items()]
  rng = np.random.default_rng(0)
  values = {name: rng.normal(size=(int(durations[name]), 3)).astype(np.float32)
            for name in durations}

  def features(name):
    read.append(name)
    return FrameFeatures(values[name], TimeGrid(1.0))

  def proposals(name):
    starts = np.arange(durations[name])
    return np.stack([starts, starts + 1], 1)

  return RawData(from_videos(videos), features, proposals,
                 Split((), ("a", "b", "long"), ("t",)), None, "by hand")


def test_a_pool_is_refused_before_its_features_are_read(monkeypatch, tmp_path):
  read = []
  expected = assemble.assemble(raw([]), name="x", encoder="mean")
  monkeypatch.setattr(pool_size, "memory", lambda: 1000)  # 3 * 40 * 3 * 4 + ... are 1,500 bytes
  with pytest.raises(TooLarge, match="'long' alone has 40 proposals, half of the 4 videos at"):
    assemble.assemble(raw(read), name="x", encoder="mean")
  assert read == ["a"]  # to know the width
  stored = assemble.assemble(raw(read), name="x", encoder="mean", storage=str(tmp_path))
  assert isinstance(stored.selection.features, np.memmap)
  np.testing.assert_array_equal(stored.selection.features, expected.selection.features)
