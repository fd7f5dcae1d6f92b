"""What data.features may name: patterns, groups, sets of folders, parts; and what is refused."""

import h5py
import numpy as np
import pytest

from tal_jax.data.annotations import from_videos
from tal_jax.data.checks.validation import validate
from tal_jax.data.feature_paths import on_disk
from tal_jax.data.features import open_store, unused, with_time
from tal_jax.data.records import VideoAnnotation
from tal_jax.data.text import near_names
from tal_jax.errors import DataError

RNG = np.random.default_rng(3)
IDS = tuple(f"clip{i:02d}" for i in range(6))
ANNOTATIONS = from_videos(VideoAnnotation(i, "t", 10.0, np.array([[1.0, 9.0]]), ("x",))
                          for i in IDS)


def array(width=3):
  return RNG.standard_normal((50, width))


def write(folder, names, width=3, suffix=".npy"):
  folder.mkdir(parents=True, exist_ok=True)
  for name in names:
    x = array(width)
    if suffix == ".npy":
      np.save(folder / f"{name}.npy", x)
    else:
      np.savetxt(folder / f"{name}.csv", x, delimiter=",")
  return folder


def judge(path, annotations=ANNOTATIONS, **options):
  store = with_time(open_store(path), annotations, fps=5.0)
  return [(p.kind, p.video_id, p.message)
          for p in validate(annotations, store, split=None, **options).problems]


def test_folders_per_subset_are_one_set(tmp_path):
  train, val = write(tmp_path / "f/train", IDS[:4]), write(tmp_path / "f/val", IDS[4:])
  for path in (tmp_path / "f", f"{train},{val}", [val, train], f"{tmp_path}/f/*/{{}}.npy"):
    store = open_store(path)
    assert store.ids() == IDS and store.shape(IDS[5]) == (50, 3)
    assert not judge(path)
  assert "one set, no video in common: 6 videos of" in open_store([train, val]).statement
  assert "each with other videos: train, val" in open_store(tmp_path / "f").statement


def test_modalities_of_subsets(tmp_path):
  """Four folders in any order: two sets of two folders, side by side."""
  paths = {(m, s): write(tmp_path / m / s, ids, width) for m, width in (("rgb", 2), ("flow", 3))
           for s, ids in (("train", IDS[:4]), ("val", ["v_" + i for i in IDS[4:]]))}
  for order in ([("rgb", "train"), ("rgb", "val"), ("flow", "train"), ("flow", "val")],
                [("rgb", "train"), ("flow", "train"), ("flow", "val"), ("rgb", "val")]):
    store = open_store([paths[x] for x in order])
    assert {store.shape(i) for i in IDS} == {(50, 5)}
    rgb = np.load(paths["rgb", "train"] / f"{IDS[0]}.npy")
    np.testing.assert_array_equal(np.concatenate(store.part_values(IDS[0]), 1)[:, :2], rgb)
  assert "; side by side with 6 videos of" in store.statement


def test_neither_a_set_nor_side_by_side(tmp_path):
  a, b = write(tmp_path / "a", IDS[:4]), write(tmp_path / "b", IDS[3:])
  with pytest.raises(DataError) as fault:
    open_store([a, b])
  assert f"{a} and {b} have 1 video(s) in common ('clip03'" in str(fault.value)
  write(tmp_path / "a", IDS), write(tmp_path / "b", IDS)
  with pytest.raises(DataError, match=f"side by side: data.features={a},{b}"):
    open_store(tmp_path)
  assert open_store([a, b]).shape(IDS[0]) == (50, 6)


def test_a_set_of_several_layouts(tmp_path):
  np.savetxt(write(tmp_path / "a", []) / "x.csv", RNG.standard_normal((100, 3)), delimiter=",")
  with pytest.raises(DataError, match="taken for different layouts: name the one"):
    open_store([tmp_path / "a", write(tmp_path / "b", IDS)])


def test_a_folder_per_video(tmp_path):
  for name in IDS:
    write(tmp_path / name, ["rgb", "flow"])
  with pytest.raises(DataError, match=r"A folder per video\? data.features=.*/\{\}/flow.npy"):
    open_store(tmp_path)
  store = open_store(f"{tmp_path}/{{}}/rgb.npy,{tmp_path}/{{}}/flow")
  assert store.ids() == IDS and store.shape(IDS[0]) == (50, 6)


@pytest.mark.parametrize("names", ["{}_rgb", "i3d-{}", "video_{}_rgb", "v_{}.mp4"])
def test_names_with_more_than_the_id(tmp_path, names):
  folder = write(tmp_path / "f", [names.replace("{}", i) for i in IDS])
  ((kind, video_id, message),) = judge(folder)
  assert (kind, video_id) == ("names of features", "")
  assert message.endswith(f"data.features={folder}/{names}.npy")
  assert repr(names.replace("{}", "clip00")) in message
  assert not judge(message.partition("data.features=")[2])


def test_several_files_a_video(tmp_path):
  """Frame rates and times beside the features are no features."""
  folder = write(tmp_path, [f"{i}_{kind}" for i in IDS for kind in ("flow", "rgb")])
  for name in IDS:
    np.save(folder / f"{name}_fps.npy", 25.0)
    np.save(folder / f"{name}_timestamps_ms.npy", np.arange(50.0))
  ((kind, _, message),) = judge(folder)
  assert kind == "names of features"
  assert f"data.features={folder}/{{}}_flow.npy,{folder}/{{}}_rgb.npy puts" in message
  store = open_store(f"{folder}/{{}}_rgb.npy,{folder}/{{}}_flow.npy")
  assert store.ids() == IDS and store.shape(IDS[0]) == (50, 6) and not unused(store, IDS)
  assert on_disk(f"{folder}/{{}}_rgb.npy") == folder


def test_a_second_folder_whose_names_are_no_ids(tmp_path):
  """Two folders without a common name are one set; here that would drop the second in silence."""
  rgb = write(tmp_path / "rgb", IDS)
  flow = write(tmp_path / "flow", [f"{i}_flow" for i in IDS])
  ((kind, _, message),) = judge([rgb, flow])
  assert kind == "names of features" and f"data.features={flow}/{{}}_flow.npy" in message


def test_hints_are_the_own_near_names(tmp_path):
  folder = write(tmp_path, [IDS[0], IDS[1], IDS[2], "clip03_new", "CLIP-4", "zebra"])
  messages = {video_id: message for kind, video_id, message in judge(folder)
              if kind == "no features"}
  assert messages == {"clip03": "there is 'clip03_new'", "clip04": "nothing like it among 3 other "
                      "name(s)", "clip05": "nothing like it among 3 other name(s)"}
  (tmp_path / "CLIP-4.npy").rename(tmp_path / "CLIP04.npy")
  found = judge(folder)
  assert ("no features", "clip04", "there is 'CLIP04': the same with another spelling?") in found
  assert ("features without annotation", "CLIP04", "those of 'clip04'?") in found


def test_another_spelling_throughout(tmp_path):
  ((kind, _, message),) = judge(write(tmp_path, [i.upper() for i in IDS]))
  assert kind == "names of features" and "'CLIP00' for 'clip00'" in message


def test_near_names():
  assert near_names.plain_id("v_Clip-007 .mp4") == near_names.plain_id("clip 7")
  assert near_names.plain_id("e\u0301te") == near_names.plain_id("\u00e9te")
  near = near_names.Near(["clip1_rgb", "clip10_rgb", "clip1", "x clip1"])
  assert near.hint("clip1").startswith("there is 'clip1': the same")
  assert near_names.Near(["clip10_rgb"]).hint("clip1") == "nothing like it among 1 other name(s)"
  found = near_names.affixes(["1", "11", "2"], ["1_rgb", "11_rgb", "2_rgb", "2_fps"], 2)
  assert found == {("", "_rgb"): ["1", "11", "2"]}


def test_many_names_take_no_time():
  ids = [f"video_{i:06d}" for i in range(20_000)]
  names = [f"{i}_rgb_of_the_first_camera" for i in ids]
  assert list(near_names.affixes(ids, names, 3)) == [("", "_rgb_of_the_first_camera")]
  near = near_names.Near(names)
  assert all(repr(name) in near.hint(i) for i, name in zip(ids, names, strict=True))


def hdf5(path, names, width=3):
  with h5py.File(path, "w") as file:
    for name in names:
      file[name] = array(width)
  return path


@pytest.mark.parametrize("names", [
    [f"train/{i}" for i in IDS[:4]] + [f"val/{i}" for i in IDS[4:]],
    [f"P{n}/{i}" for n, i in enumerate(IDS[:5])] + [f"P0/{IDS[5]}"],
    [f"all/{i}" for i in IDS],
    [f"train/{i}/rgb" for i in IDS[:4]] + [f"val/{i}/rgb" for i in IDS[4:]],
    [f"s/P{n % 2}/{i}" for n, i in enumerate(IDS)]])
def test_groups_of_hdf5(tmp_path, names):
  path = hdf5(tmp_path / "f.h5", names)
  assert open_store(path).ids() == IDS and not judge(path)
  assert "videos in the groups" in open_store(path).statement


def test_one_group_of_hdf5(tmp_path):
  path = hdf5(tmp_path / "f.h5", [f"{m}/{i}" for m in ("rgb", "flow") for i in IDS])
  ((kind, _, message),) = judge(path)
  assert kind == "names of features"
  assert f"'rgb' is a group with 6 members, 'clip00' say: data.features={path}/rgb" in message
  store = open_store(f"{path}/rgb,{path}/flow")
  assert store.ids() == IDS and store.shape(IDS[0]) == (50, 6)
  assert open_store(f"{path}/rgb/{{}}").ids() == IDS and on_disk(f"{path}/rgb") == path
  with pytest.raises(DataError, match="f.h5/none: nothing there; .*f.h5 has flow, rgb"):
    open_store(f"{path}/none")


def test_arrays_of_single_videos_are_no_sets(tmp_path):
  names = [f"{i}/{m}" for i in IDS for m in ("rgb", "flow")]
  path = hdf5(tmp_path / "f.h5", names)
  assert open_store(path).ids() == IDS
  assert open_store(path, key="flow").shape(IDS[0]) == (50, 3)
  assert open_store(f"{path}/{{}}/rgb").shape(IDS[0]) == (50, 3)


def test_an_hdf5_file_per_subset(tmp_path):
  hdf5(tmp_path / "train.h5", IDS[:4]), hdf5(tmp_path / "val.h5", IDS[4:])
  assert open_store(tmp_path).ids() == IDS
  assert open_store([tmp_path / "train.h5", tmp_path / "val.h5"]).ids() == IDS


@pytest.mark.parametrize(("pattern", "message"), [
    ("f/{}_x.npy", "no file fits the pattern. .*f holds clip00.npy"),
    ("none/{}.npy", "no file fits the pattern. .*none is no folder"),
    ("f/{}{}.npy", "a pattern has {} once"), ("f/*.npy", "a pattern has {} once")])
def test_patterns_that_fit_nothing(tmp_path, pattern, message):
  write(tmp_path / "f", IDS[:1])
  with pytest.raises(DataError, match=message):
    open_store(f"{tmp_path}/{pattern}")


def test_layouts_of_patterns(tmp_path):
  write(tmp_path, [f"{i}_rgb" for i in IDS])
  store = with_time(open_store(f"{tmp_path}/{{}}_rgb", format="tsp"), ANNOTATIONS)
  assert store.load(IDS[0]).grid == (15.0, 16.0, 16.0)
  with pytest.raises(DataError, match="give its folder or file, without a pattern"):
    open_store(f"{tmp_path}/{{}}_rgb", format="gtad_thumos")
  for i in IDS:
    np.savetxt(tmp_path / f"{i}_s.csv", RNG.standard_normal((100, 2)), delimiter=",")
  assert open_store(f"{tmp_path}/{{}}_s.csv").parts[0].layout.rescaled


@pytest.mark.parametrize(("name", "words"), [
    ("all.pkl", "pickle.load"), ("all.pt", "torch.load.*weights_only=True"), ("all.mat", "loadmat"),
    ("all.npz", "for ID, array in numpy.load"), ("all.npy", "allow_pickle=True"),
    ("f.zip", "unpack it"), ("all.parquet", "pandas")])
def test_other_containers(tmp_path, name, words):
  """A file alone, and a folder of such: refused with the lines that convert it; never loaded."""
  (tmp_path / name).write_bytes(b"cos\nsystem\n(S'touch %s'\ntR." % bytes(tmp_path / "run"))
  with pytest.raises(DataError, match=f"no known format of features.*{name} is .*{words}"):
    open_store(tmp_path / name)
  if not name.endswith((".npz", ".npy")):
    with pytest.raises(DataError, match=f"no known format of features.*{name} is .*{words}"):
      open_store(tmp_path)
    write(tmp_path, IDS[:5])
    (tmp_path / name).rename(tmp_path / name.replace(name.partition(".")[0], IDS[5]))
    ((kind, video_id, message),) = judge(tmp_path)
    assert (kind, video_id) == ("no features", IDS[5]) and message.startswith(f"{IDS[5]}.")
  assert not (tmp_path / "run").exists()


def test_pickled_objects_in_every_file(tmp_path):
  for name in IDS:
    np.save(tmp_path / f"{name}.npy", np.array({"features": array()}))
  ((kind, video_id, message),) = judge(tmp_path)
  assert (kind, video_id) == ("pickled features", "") and "6 of 6 videos" in message
  assert "allow_pickle=True" in message
