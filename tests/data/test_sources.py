"""Every source by its name, from the `data` part of a config."""

import json

import jax
import numpy as np
import pytest

from tal_jax.data import sources as lib
from tal_jax.errors import DataError

SIMULATED = {"source": "simulated", "seed": 0, "normalize": "standardize", "dtype": "float32",
             "num_knowledge_classes": 2, "num_selection_classes": 3, "num_knowledge_videos": 4,
             "num_selection_videos": 6, "num_testing_videos": 4, "num_search_per_class": 1,
             "frame_dim": 6, "num_proposals": 8}


def load(options=SIMULATED, *, seed=0, encoder="mean", **changes):
  return lib.load(options | changes, seed=seed, encoder=encoder)


def assert_same(a, b):
  assert a.ids == b.ids and a.classes == b.classes
  for pool, other in zip(a[4:7], b[4:7], strict=True):
    for x, y in zip(*map(jax.tree.leaves, (pool, other)), strict=True):
      np.testing.assert_array_equal(x, y)


def test_simulated():
  options = dict(SIMULATED)
  data = load(options)
  assert options == SIMULATED and data.name == "simulated"
  sizes = [pool.num_videos for pool in (data.knowledge_source, data.selection, data.testing)]
  assert sizes == [4, 6, 4] and data.selection.dim == 6
  assert not set(data.classes) & set(data.knowledge_classes) and "imulated" in data.caption
  assert load(encoder="context").selection.dim == 18


def test_seeds_add_up():
  assert_same(load(seed=3), load(SIMULATED | {"seed": 1}, seed=2))
  assert not np.array_equal(load(seed=3).selection.features, load(seed=4).selection.features)


def test_progress_and_dtype():
  calls = []
  data = lib.load(SIMULATED | {"dtype": "float16"}, seed=0, encoder="mean",
                  progress=lambda *done: calls.append(done))
  assert data.selection.features.dtype == np.float16 and calls[-1][0] == calls[-1][1]


def annotations(path):
  database = {f"v{i}": {"subset": "training" if i < 10 else "validation", "duration": 60.0,
                        "subject": i // 2, "fps": 1.0,
                        "annotations": [{"segment": [5, 20 + i], "label": f"c{i % 2}"}]}
              for i in range(14)}
  path.write_text(json.dumps({"database": database}))
  return str(path)


COMMON = {"seed": 0, "normalize": "standardize", "dtype": "float32"}
SUBJECT = {"kind": "subject", "num_knowledge_subjects": 2}


def test_activitynet_annotations(tmp_path):
  options = COMMON | {"source": "activitynet_annotations", "split": SUBJECT, "frame_dim": 6,
                      "annotations": annotations(tmp_path / "a.json"), "num_proposals": 8}
  data = load(options)
  assert options["split"] is SUBJECT and SUBJECT["kind"] == "subject"  # not changed
  assert [len(ids) for ids in data.ids] == [4, 6, 4] and data.classes == ("c0", "c1")
  for i, video_id in enumerate(data.ids.selection):  # the timeline is the file's
    np.testing.assert_allclose(data.selection.truths[i, 0], [5, 20 + int(video_id[1:])])
  assert "imulated" in data.caption
  assert_same(load(options), data)


def test_files(tmp_path):
  path = annotations(tmp_path / "a.json")
  rng = np.random.default_rng(0)
  (tmp_path / "features").mkdir()
  for i in range(14):
    np.save(tmp_path / "features" / f"v{i}.npy", rng.normal(size=(60, 4)).astype(np.float32))
  options = COMMON | {"source": "files", "annotations": path, "split": SUBJECT,
                      "features": str(tmp_path / "features"),
                      "windows": {"shortest": 10.0, "longest": 40.0}}
  data = load(options)
  assert [len(ids) for ids in data.ids] == [4, 6, 4] and data.selection.dim == 4
  fields = dict.fromkeys(("proposals", "feature_key", "video_info", "label"), "") | dict.fromkeys(
      ("fps", "stride", "window"), 0.0) | {"num_proposals": 0, "background": False} | {
          f"{kind}_format": "auto" for kind in ("annotations", "features", "proposals")}
  assert_same(load(options | fields), data)  # as configs/files.py gives what is not set
  assert data.search is not None  # classes are shared
  (tmp_path / "features" / "v3.npy").unlink()
  with pytest.raises(DataError, match="v3"):
    load(options)


def test_hapt(data_dir):
  """The real data set of configs/hapt.py: people disjoint, all 12 classes on both sides."""
  folder = data_dir / "hapt"
  data = load(COMMON | {
      "source": "files", "annotations": str(folder / "hapt.json"), "stride": 10.0, "window": 50.0,
      "features": str(folder / "features"), "windows": {"shortest": 5.0, "overlap": 0.5},
      "split": {"kind": "subject", "num_knowledge_subjects": 6}})
  assert data.selection.dim == 64 and len(data.classes) == 12
  people = [{video_id.split("_")[1] for video_id in ids} for ids in data.ids]
  assert list(map(len, people)) == [6, 15, 9] and len(set.union(*people)) == 30
  assert sum(map(len, data.ids)) == 340


@pytest.mark.parametrize(("changes", "message"), [
    ({"source": "youtube"}, "data.source = 'youtube'; there are simulated, activitynet"),
    ({"num_sheep": 3}, "num_sheep"), ({"normalize": "max"}, "normalize = 'max'"),
    ({"dtype": "int8"}, "dtype = 'int8'"), ({"num_selection_videos": 0}, "selection"),
    ({"source": "tfds", "path": "", "split": {}},
     "data.source = 'tfds' has no setting data.num_.*, configs/tfds.py for this one$"),
    ({"source": "activitynet_annotations"}, "'activitynet_annotations' needs data.annotations and "
     "data.split: a source takes the fields that its own config has, configs/anet.py:annotations"),
    ({"source": "files"}, "data.source = 'files' .* configs/files.py")])
def test_faults(changes, message):
  with pytest.raises(DataError, match=message):
    load(**changes)


def test_unknown_encoder():
  with pytest.raises(DataError, match="encoder = 'max'"):
    load(encoder="max")


@pytest.mark.parametrize("source", ["activitynet_annotations", "files"])
def test_no_such_file(tmp_path, source):
  options = COMMON | {"source": source, "split": SUBJECT,
                      "annotations": str(tmp_path / "none.json")}
  if source == "files":
    options["features"] = str(tmp_path)
  with pytest.raises((DataError, FileNotFoundError), match="none.json"):
    load(options)


def test_unknown_split(tmp_path):
  with pytest.raises(DataError, match="data.split.kind = 'age'"):
    load(COMMON | {"source": "activitynet_annotations", "split": {"kind": "age"},
                   "annotations": annotations(tmp_path / "a.json")})
