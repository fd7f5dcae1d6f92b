"""Features in every layout, and the time of their rows."""

import h5py
import numpy as np
import pytest

from tal_jax.data import features as lib
from tal_jax.data.annotations import from_videos
from tal_jax.data.formats import registry
from tal_jax.data.records import FrameFeatures, TimeGrid, VideoAnnotation
from tal_jax.encoders.pooling import row_centres
from tal_jax.errors import DataError

X = np.arange(12, dtype=np.float32).reshape(4, 3)
# "fps" is the video's: 30; `z` has none.
ANNOTATIONS = from_videos(VideoAnnotation(i, "s", 20.0, np.zeros((0, 2)), (), extra)
                          for i, extra in (("a", {"fps": 30}), ("z", {})))


def opened(path, *, format="auto", **options):
  return lib.with_time(lib.open_store(path, format=format), ANNOTATIONS, **options)


def npy(folder, name="a", values=X):
  folder.mkdir(exist_ok=True)
  np.save(folder / f"{name}.npy", values)
  return folder


def hdf5(path, names):
  with h5py.File(path, "w") as file:
    for name in names:
      file[name] = X
  return path


def c3d(tmp_path):
  return hdf5(tmp_path / "c.hdf5", ["v_a/c3d_features", "v_a/other"])


def bmn_csv(tmp_path):
  np.savetxt(tmp_path / "v_a.csv", np.ones((100, 4)), delimiter=",", comments="",
             header=",".join(map(str, range(4))))
  return tmp_path


def gtad(tmp_path):
  for name in ("rgb_val", "flow_val"):
    hdf5(tmp_path / f"{name}.h5", ["a"])
  hdf5(tmp_path / "rgb_test.h5", ["z"])
  return tmp_path


@pytest.mark.parametrize(("format", "make", "grid", "row", "seconds"), [
    # The first row's window is frames 0 to 15, its centre 8 frames after the start: 8 / 30 s.
    ("activitynet_c3d", c3d, (30, 8, 16), 0, 8 / 30),
    ("activitynet_c3d", c3d, (30, 8, 16), 3, (3 * 8 + 8) / 30),
    # 100 rows over 20 s: row 0 is [0, 0.2] s, row 99 ends with the video.
    ("bmn_csv", bmn_csv, (5, 1, 1), 0, 0.1), ("bmn_csv", bmn_csv, (5, 1, 1), 99, 19.9),
    ("tsp", lambda path: hdf5(path / "t.h5", ["a"]), (15, 16, 16), 2, (32 + 8) / 15),
    ("tsp", lambda path: npy(path, "v_a"), (15, 16, 16), 0, 8 / 15),
    ("actionformer_thumos", npy, (30, 4, 16), 10, (40 + 8) / 30),
    ("actionformer_activitynet", lambda path: npy(path, "v_a"), (25, 16, 16), 1, 24 / 25),
    ("epic_slowfast", npy, (30, 16, 32), 1, 32 / 30),
    ("gtad_thumos", gtad, (30, 1, 1), 60, 60.5 / 30),
    ("folder", npy, (30, 1, 1), 0, 0.5 / 30),
])
def test_time_of_the_layouts(tmp_path, format, make, grid, row, seconds):
  """Hand values for each layout in use."""
  store = opened(make(tmp_path), format=format)
  got = store.load("a").grid
  assert got == TimeGrid(*grid)
  assert lib.row_time(row, got) == pytest.approx(seconds, abs=1e-12)
  assert lib.row_index(seconds, got) == pytest.approx(row, abs=1e-9)
  np.testing.assert_allclose(lib.row_time(np.arange(50), got), row_centres(50, got), rtol=1e-15)


def test_row_index_by_hand():
  """(t * fps - window / 2) / stride: at 2 s, 25 fps, window 16, stride 8: (50 - 8) / 8."""
  assert lib.row_index(2.0, TimeGrid(25.0, 8.0, 16.0)) == 5.25
  np.testing.assert_array_equal(lib.row_index([0.0, 1.0], TimeGrid(4.0)), [-0.5, 3.5])


def test_where_the_grid_comes_from(tmp_path):
  """Given, else stored, else the layout's, else the video's; and said."""
  store = opened(c3d(tmp_path))
  assert set(store.grids) == {"a"}  # of z no frame rate is known
  assert store.statement.splitlines()[1] == (
      "time grid: fps of each video, stride 8 of the layout, window 16 of the layout")
  given = opened(c3d(tmp_path), fps=10, stride=4)
  assert given.grids["z"] == TimeGrid(10, 4, 16)
  assert "fps 10 as given, stride 4 as given, window 16 of the layout" in given.statement
  stored = tmp_path / "stored.h5"
  lib.write_features(stored, [("a", FrameFeatures(X, TimeGrid(12.5, 2.0, 3.0)))], format="hdf5")
  assert opened(stored).grids == {"a": TimeGrid(12.5, 2.0, 3.0)}
  assert opened(stored, window=5).grids["a"] == TimeGrid(12.5, 2.0, 5.0)
  assert "fps as stored with the features (1 videos)" in opened(stored).statement
  (tmp_path / "csv").mkdir()
  rescaled = opened(bmn_csv(tmp_path / "csv"))
  assert "time grid: rows spread evenly over each video" in rescaled.statement
  assert opened(tmp_path / "csv", fps=1, stride=1, window=1).load("a").grid == TimeGrid(1, 1, 1)
  with pytest.raises(DataError, match="data.stride = -1: it must be a positive"):
    opened(stored, stride=-1)


@pytest.mark.parametrize(("format", "name"), [("folder", "f"), ("hdf5", "f.h5")])
def test_round_trip(tmp_path, format, name):
  grid = TimeGrid(25.0, 8.0, 16.0)
  items = {"v_a": FrameFeatures(X, grid), "b": FrameFeatures(X[:2].astype(np.float16), grid)}
  lib.write_features(tmp_path / name, items.items(), format=format)
  store = lib.open_store(tmp_path / name)
  assert store.ids() == ("b", "v_a") and registry.detect(tmp_path / name, "features")[0] == format
  for video_id, (values, grid) in items.items():
    got = store.load(video_id)
    np.testing.assert_array_equal(got.values, values)
    assert got.grid == grid and got.values.dtype == values.dtype
    assert store.shape(video_id) == values.shape


def test_folder_keeps_one_grid(tmp_path):
  items = [(i, FrameFeatures(X, TimeGrid(fps))) for i, fps in (("a", 25.0), ("b", 30.0))]
  with pytest.raises(DataError, match="b has another time grid .* 'hdf5'"):
    lib.write_features(tmp_path / "f", items)


def test_parts_side_by_side(tmp_path):
  """RGB and flow: a row or two more are cut off, more are a fault, by id."""
  rgb, flow = tmp_path / "rgb", tmp_path / "flow"
  for name, rows in (("a", 4), ("z", 4), ("only", 4)):
    npy(rgb, name, X[:rows])
  npy(flow, "v_a", X[:2] + 100)
  npy(flow, "z", X[:1])
  for path in (f"{rgb},{flow}", (rgb, flow), f" {rgb} , {flow} "):
    store = opened(path, fps=10)
    values = store.load("a").values
    np.testing.assert_array_equal(values, np.concatenate([X[:2], X[:2] + 100], axis=1))
    assert store.shape("a") == (2, 6) and store.ids() == ("a", "z")
  for read in (store.load, store.shape):
    with pytest.raises(DataError, match="z: the parts have 4, 1 rows .*rgb/z.npy .*flow/z.npy"):
      read("z")
    with pytest.raises(DataError, match="only has no features in .*: only .*flow lack"):
      read("only")
  assert len(store.statement.splitlines()) == 3


def test_gtad_modalities_and_subsets(tmp_path):
  store = opened(gtad(tmp_path))
  np.testing.assert_array_equal(store.load("a").values, np.concatenate([X, X], axis=1))
  assert store.ids() == ("a",) and "flow_*.h5 lack" in store.why_missing("z")
  hdf5(tmp_path / "flow_test.h5", ["z", "a"])
  store = opened(tmp_path)
  assert store.ids() == ("a", "z")
  assert [name for name in store.duplicates] == ["a"]


def test_parts_of_different_layouts(tmp_path):
  npy(tmp_path / "f")
  paths = [c3d(tmp_path), tmp_path / "f"]
  with pytest.raises(DataError, match="different time grids. Give data.fps, data.stride"):
    opened(paths)
  assert opened(paths, fps=1, stride=1, window=1).load("a").values.shape == (4, 6)


@pytest.mark.parametrize("header", ["", "x,y,z\n", "0,1,2\n"])
def test_csv(tmp_path, header):
  (tmp_path / "a.csv").write_text(header + "1,2,3\n4.5,5,6e-1\n\n")
  store = opened(tmp_path)
  assert registry.detect(tmp_path, "features")[0] == "folder" and store.shape("a") == (2, 3)
  np.testing.assert_array_equal(store.load("a").values, np.float32([[1, 2, 3], [4.5, 5, 0.6]]))


def test_csv_faults(tmp_path):
  (tmp_path / "a.csv").write_text("1,2\n3,x\n")
  (tmp_path / "b.csv").write_text("x,y\n")
  store = opened(tmp_path)
  with pytest.raises(DataError, match="a.csv cannot be read"):
    store.load("a")
  assert store.shape("b") == (0, 2)


def test_file_per_video_in_hdf5(tmp_path):
  hdf5(tmp_path / "a.h5", ["anything"])
  hdf5(tmp_path / "z.h5", ["feats", "other"])
  store = opened(tmp_path, fps=1)
  for video_id in "az":
    np.testing.assert_array_equal(store.load(video_id).values, X)


@pytest.mark.parametrize("suffix", ["pkl", "pt"])
def test_pickles_are_refused(tmp_path, suffix):
  (tmp_path / f"a.{suffix}").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
  for format in ("auto", "folder"):
    with pytest.raises(DataError, match="no known format" if format == "auto" else "is a pickle"):
      lib.open_store(tmp_path, format=format)


@pytest.mark.parametrize(("format", "message"), [
    ("hdf5", "holds no dataset"), ("gtad_thumos", "holds none of rgb_val.h5"),
    ("folder", "is no folder")])
def test_as_asked_but_something_else(tmp_path, format, message):
  hdf5(tmp_path / "a.h5", [])
  with pytest.raises(DataError, match=message):
    lib.open_store(tmp_path if format == "gtad_thumos" else tmp_path / "a.h5", format=format)


def test_real_c3d(data_dir):
  """Its rows are frames: nothing is guessed from its name."""
  path = data_dir / "daps" / "c3d_after_pca.hdf5"
  store = lib.open_store(path)
  assert store.ids() == ("video_test_0000526", "video_test_0000541")
  assert store.shape("video_test_0000541") == (863, 500) and not store.grids
