"""The source `files`: from paths to RawData, with the report in between."""

import json

import h5py
import numpy as np
import pytest

from configs import files
from tal_jax.data import files as lib
from tal_jax.data.annotations import read_annotations, select, write_annotations
from tal_jax.data.file_options import FileOptions
from tal_jax.data.records import TimeGrid
from tal_jax.errors import DataError

IDS = tuple(f"{subset}{i}" for subset in ("t", "v") for i in range(6))


def make(folder, **changes):
  """Writes 12 videos of 6 subjects and 3 classes; returns the arguments of `inspect`."""
  database = {}
  (folder / "features").mkdir()
  for n, video_id in enumerate(IDS):
    database[video_id] = {
        "subset": "training" if video_id[0] == "t" else "validation", "duration": 20.0,
        "fps": 10, "subject": n // 2, "annotations": [{"segment": [2, 8], "label": f"c{n % 3}"}]}
    np.save(folder / "features" / f"{video_id}.npy", np.full((40, 2), float(n + 1)))
  (folder / "a.json").write_text(json.dumps({"database": database}))
  return dict(annotations=folder / "a.json", features=folder / "features", stride=5, window=5,
              split="subject", split_options={"num_knowledge_subjects": 1}, seed=0) | changes


def inspect(*, split, split_options, seed, caption=None, **options):
  return lib.inspect(FileOptions(**options), split=split, split_options=split_options, seed=seed,
                     caption=caption)


def load(*, report_path=None, split, split_options, seed, **options):
  return lib.load(FileOptions(**options), split=split, split_options=split_options, seed=seed,
                  report_path=report_path)


def test_load(tmp_path):
  raw = load(**make(tmp_path, windows={"shortest": 4.0}), report_path=tmp_path / "report.txt")
  assert list(map(len, raw.split)) == [2, 4, 6] and raw.caption == "a.json"
  assert raw.features("t3").grid == TimeGrid(10.0, 5.0, 5.0)
  np.testing.assert_array_equal(raw.features("t3").values, np.full((40, 2), 4.0))
  np.testing.assert_array_equal(raw.proposals("t3")[0], [0, 4])
  # People differ, classes are shared: Knowledge-Source can play the search results.
  assert tuple(raw.search.videos) == raw.split.knowledge_source
  assert "no problem found" in (tmp_path / "report.txt").read_text()


def test_what_was_detected_is_said(tmp_path):
  options = make(tmp_path)
  _, report = inspect(**options)
  assert report.text().splitlines()[1:4] == [
      f"{options['annotations']}: annotations in the format 'activitynet' (JSON with 'database')",
      f"{options['features']}: features in the format 'folder' (a folder of 12 .npy files)",
      "time grid: fps of each video, stride 5 as given, window 5 as given"]
  _, report = inspect(**options, features_format="actionformer_thumos")
  assert "'actionformer_thumos' (as asked)" in report.text()
  for kind in ("annotations", "features", "proposals"):
    with pytest.raises(DataError, match=f"data.{kind}_format = 'x'; there are auto, "):
      inspect(**options, **{f"{kind}_format": "x", "proposals": options["annotations"]})


def test_formats_of_several_kinds_at_once(tmp_path):
  """csv annotations in two files, RGB and flow, and DAPs' proposals in frames of the video."""
  options = make(tmp_path)
  annotated = read_annotations(options["annotations"])
  files = [tmp_path / "train.csv", tmp_path / "val.csv"]
  for file, prefix in zip(files, "tv", strict=True):
    write_annotations(file, select(annotated, [i for i in IDS if i[0] == prefix]), format="csv")
  (tmp_path / "flow").mkdir()
  for video_id in IDS:
    np.save(tmp_path / "flow" / f"v_{video_id}.npy", np.ones((39, 3)))
  (tmp_path / "p.csv").write_text("f-init f-end score video-name\n" + "".join(
      f"0 {n} {n / 100} {i}\n" for i in IDS for n in (20, 30)))
  raw, report = inspect(**options | dict(
      annotations=f"{files[0]},{files[1]}", features=f"{options['features']},{tmp_path / 'flow'}",
      proposals=tmp_path / "p.csv", num_proposals=1))
  assert raw.caption == "train.csv, val.csv" and not report.problems
  assert raw.features("v3").values.shape == (39, 5)
  np.testing.assert_array_equal(raw.proposals("v3"), [[0, 3]])  # 30 frames at 10 fps
  assert "proposals in the format 'daps'" in report.text() and len(report.text().splitlines()) == 8


def test_split_by_class_has_no_search(tmp_path):
  raw = load(**make(tmp_path, split="class", split_options={"num_knowledge_classes": 1}))
  assert raw.search is None and list(map(len, raw.split)) == [2, 4, 4]


def test_split_by_list(tmp_path):
  (tmp_path / "split.json").write_text(json.dumps(
      {"knowledge_source": ["t0"], "selection": ["t1"], "testing": ["v0"]}))
  raw, report = inspect(**make(tmp_path, split="list",
                                   split_options={"path": tmp_path / "split.json"}))
  assert raw.split == (("t0",), ("t1",), ("v0",)) and report.count("in no set") == 9


@pytest.mark.parametrize(("kind", "options", "message"), [
    ("drawn_subjects", {"path": ""},
     "'drawn_subjects' has no option path (path: an option of list): its options are testing_share,"
     " key. --config=configs/files.py:drawn_subjects has them"),
    ("list", {"num_knowledge_classes": 5, "knowledge_subset": "training"},
     "'list' needs path and has no option num_knowledge_classes and knowledge_subset "
     "(num_knowledge_classes and knowledge_subset: an option of class): its options are path."),
    ("class", {"num_knowledge_subjects": 2},
     "'class' needs num_knowledge_classes and has no option num_knowledge_subjects "
     "(num_knowledge_subjects: an option of subject)"),
    ("subsets", {"knowledge_subset": "training"}, "'subsets' has no option knowledge_subset "
     "(knowledge_subset: an option of class and subject)"),
    ("list", {}, "'list' needs path: its options are path"),
    ("subject", {"num_knowledge_subjects": 2, "sheep": 3}, "'subject' has no option sheep: its o"),
    ("age", {}, "'age'; there are class, drawn_subjects, list, subject, subsets")])
def test_options_of_another_kind_of_split(tmp_path, kind, options, message):
  with pytest.raises(DataError) as fault:
    inspect(**make(tmp_path, split=kind, split_options=options))
  text = str(fault.value)
  assert f"data.split.kind = {message}" in text and "\n" not in text and "argument" not in text


@pytest.mark.parametrize("kind", sorted(lib.SPLITS))
def test_every_kind_of_split_has_a_variant_with_its_options(kind):
  """Those of the config are what the function takes, and all that it must have."""
  options = files.get_config(kind).data.split.to_dict()
  assert options.pop("kind") == kind
  takes = set(lib.SPLITS[kind].__kwdefaults__ or {}) | {
      name for name in lib.SPLITS[kind].__annotations__} - {"annotations", "return"}
  assert set(options) == takes - {"seed"}


def test_hdf5_and_proposals_file(tmp_path):
  options = make(tmp_path, caption="mine")
  with h5py.File(tmp_path / "f.h5", "w") as file:
    for video_id in IDS:
      file[f"v_{video_id}/c3d"] = np.ones((40, 3))
  results = {i: [{"score": 0.1, "segment": [1, 2]}, {"score": 0.5, "segment": [15, 25]}]
             for i in IDS}
  (tmp_path / "p.json").write_text(json.dumps({"results": results}))
  options.update(features=tmp_path / "f.h5", proposals=tmp_path / "p.json", num_proposals=1)
  raw, report = inspect(**options)
  assert raw.features("t0").values.shape == (40, 3) and raw.caption == "mine"
  np.testing.assert_array_equal(raw.proposals("t0"), [[15, 20]])
  assert report.count("proposals outside the video") == 12
  with pytest.raises(DataError, match="exclude each other"):
    inspect(**options, windows={"overlap": 0.5})


def test_fatal_faults_stop_load_with_one_report(tmp_path):
  options = make(tmp_path)
  (tmp_path / "features" / "t1.npy").unlink()
  np.save(tmp_path / "features" / "v1.npy", np.full((40, 2), np.nan))
  raw, report = inspect(**options)
  assert raw is None and report.count("no features") == report.count("non-finite feature") == 1
  with pytest.raises(DataError, match="(?s)no features.*t1.*non-finite feature.*v1.npy"):
    load(**options, report_path=tmp_path / "report.txt")
  assert "v1.npy" in (tmp_path / "report.txt").read_text()


def test_allow_missing_drops_and_says_so(tmp_path):
  options = make(tmp_path, allow_missing=True)
  for video_id in ("t4", "v1"):
    (tmp_path / "features" / f"{video_id}.npy").unlink()
  raw, report = inspect(**options)
  assert report.count("dropped video") == 2
  assert not {"t4", "v1"} & set(sum(raw.split, ())) and len(sum(raw.split, ())) == 10


def vary(options):
  """Features that differ from row to row."""
  for i, file in enumerate(sorted(options["features"].iterdir())):
    np.save(file, np.random.default_rng(i).random((40, 2)))


def test_faults_of_unused_videos_are_notes(tmp_path):
  options = make(tmp_path)
  content = json.loads((tmp_path / "a.json").read_text())
  vary(options)
  content["database"]["z"] = {"subset": "testing", "annotations": [{"segment": [1, 2]}]}
  (tmp_path / "a.json").write_text(json.dumps(content))
  raw, report = inspect(**options)
  assert raw is not None and report.count("fault of an unused video") == 2
  assert "z: structure: annotations[0] has no text 'label'" in report.text()


def test_labels_that_are_no_class(tmp_path):
  options = make(tmp_path)
  content = json.loads((tmp_path / "a.json").read_text())
  vary(options)
  truths = content["database"]["t0"]["annotations"]
  truths += [{"segment": [9, 10], "label": "Ambiguous"}, {"segment": [10, 11], "label": "C0"}]
  (tmp_path / "a.json").write_text(json.dumps(content))
  raw, report = inspect(**options)
  assert report.count("label that is no class") == report.count("labels alike") == 1
  assert "'Ambiguous', 1 instance(s)" in report.text() and "'C0', 'c0'" in report.text()
  raw, report = inspect(**options, no_class="ambiguous, C0")
  assert raw.annotations.classes == ("c1", "c2") and not report.count("label that is no class")


def test_wrong_subset_name_is_explained(tmp_path):
  options = make(tmp_path)
  options["split_options"]["testing_subset"] = "Validation"
  with pytest.raises(DataError, match="'Validation'; there are 'training', 'validation'; did you"):
    load(**options)


def test_faults_of_the_annotation_file_are_in_the_report(tmp_path):
  options = make(tmp_path)
  content = json.loads((tmp_path / "a.json").read_text())
  del content["database"]["t2"]["duration"]
  (tmp_path / "a.json").write_text(json.dumps(content))
  raw, report = inspect(**options)
  assert raw is None and report.count("bad duration") == 1 and not report.count("structure")
  assert "t2: lacks the field(s) duration" in report.text()


@pytest.mark.parametrize(("changes", "message"), [
    (dict(split="people"),
     "data.split.kind = 'people'; there are class, drawn_subjects, list, subject"),
    (dict(split_options={"number": 1}), "data.split.kind = 'subject' .*number"),
    (dict(windows={"shortest": -1}), "shortest=-1"),
    (dict(windows={"step": 1}), "data.windows: .*step"),
    (dict(split_options={"num_knowledge_subjects": 9}), "9 Knowledge-Source subjects of 3"),
])
def test_wrong_options(tmp_path, changes, message):
  with pytest.raises(DataError, match=message):
    inspect(**make(tmp_path, **changes))


def test_hapt_is_clean(data_dir):
  folder = data_dir / "hapt"
  raw, report = inspect(
      annotations=folder / "hapt.json", features=folder / "features", stride=10, window=50, seed=0,
      split="subject", split_options={"num_knowledge_subjects": 6})
  assert not report.problems and sum(map(len, raw.split)) == 340
  # The wrong frame rate, a common fault, is noticed on every video.
  _, report = inspect(
      annotations=folder / "hapt.json", features=folder / "features", fps=25, stride=10, window=50,
      seed=0, split="subject", split_options={"num_knowledge_subjects": 6})
  assert report.count("features do not span the video") == 340
