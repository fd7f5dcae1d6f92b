"""Every format is recognised by its content, and by none other's; mistakes are explained."""

import csv
import json
import re

import h5py
import numpy as np
import pytest

from tal_jax.data.formats import registry as lib
from tal_jax.errors import DataError

VIDEO = {"subset": "training", "duration": 10, "annotations": [{"segment": [1, 2], "label": "x"}]}
JSON_SAMPLES = {
    "activitynet": {"version": "1.3", "database": {"a": VIDEO}},
    "thumos14": {"database": {"a": VIDEO | {"annotations": [
        {"segment": [1, 2], "segment_frame": [30, 60], "labelIndex": 3, "label": "x"}]}}},
    "opentad": {"database": {"a": VIDEO | {"fps": 30.0, "annotations": [
        {"label": "x", "segment": [1, 2], "segment(frames)": [30.0, 60.0], "label_id": 3}]}}},
    "bsn": {"v_a": {"duration_second": 10, "duration_frame": 300, "annotations": [
        {"segment": [1, 2], "label": "x"}], "feature_frame": 296}},
    "actions": {"a": {"subset": "training", "duration": 10, "actions": [[3, 1, 2]]}},
    "label_studio": [{"data": {"video": "a.mp4", "fps": 10}, "annotations": [{"result": [
        {"type": "timelinelabels", "value": {"ranges": [{"start": 11, "end": 20}],
                                             "timelinelabels": ["x"]}}]}]}],
}
TEXT_SAMPLES = {
    "csv": "video_id,subset,duration,label,start,end\na,training,10,x,1,2\n",
    "campaign": "video,duration,label,start,end,task_state\na,10,x,1,2,agreed\n",
    "kinetics": "label,youtube_id,time_start,time_end,split,is_cc\nx,a,4,14,val,0\n",
    "charades": 'id,subject,script,actions,length\na,S1,"to, and fro",c092 1.5 2.5,10\n',
    "epic": "narration_id,video_id,start_timestamp,stop_timestamp,start_frame,stop_frame,"
            "verb_class,noun_class\nn,P01_01,00:00:01.5,00:00:02,90,120,0,3\n",
    "thumos14_texts": "video_test_1  49.2 53.5\n",
    "ssn": "# 1\na\n1\n1\n1\n1 0.1 0.2\n1\n1 1.0 1.0 0.1 0.2\n",
}


def annotations(folder):
  for name, content in JSON_SAMPLES.items():
    (folder / f"{name}.x").write_text(json.dumps(content))
  names = {name: "Jump_test.txt" if name == "thumos14_texts" else f"{name}.x"
           for name in (*JSON_SAMPLES, *TEXT_SAMPLES)}
  for name, content in TEXT_SAMPLES.items():
    (folder / names[name]).write_text(content)
  return {name: folder / file for name, file in names.items()}


def proposals(folder):
  (folder / "bmn").mkdir()
  (folder / "bmn" / "v_a.csv").write_text("xmin,xmax,reg_socre,score\n0,1,1,1\n")
  texts = {"activitynet": '{"results": {"a": [{"score": 1, "segment": [0, 1]}]}}',
           "ssn": TEXT_SAMPLES["ssn"], "daps": "f-init f-end score video-name\n0 30 1 a\n"}
  for name, text in texts.items():
    (folder / f"{name}.x").write_text(text)
  return {name: folder / f"{name}.x" for name in texts} | {"bmn": folder / "bmn"}


def features(folder):
  paths = {name: folder / name for name in ("folder", "bmn_csv", "gtad_thumos")}
  for path in paths.values():
    path.mkdir()
  np.save(paths["folder"] / "a.npy", np.ones((4, 2)))
  np.savetxt(paths["bmn_csv"] / "v_a.csv", np.ones((100, 3)), delimiter=",", header="x,y,z",
             comments="")
  for name, group in (("hdf5.h5", "video_test_1"), ("activitynet_c3d.hdf5", "v_a"),
                      ("gtad_thumos/rgb_val.h5", None)):
    with h5py.File(folder / name, "w") as file:
      file["a" if group is None else f"{group}/c3d_features"] = np.ones((4, 2))
  return paths | {"hdf5": folder / "hdf5.h5", "activitynet_c3d": folder / "activitynet_c3d.hdf5"}


def predictions(folder):
  return {"activitynet": proposals(folder)["activitynet"]}


@pytest.mark.parametrize("make", [annotations, proposals, features, predictions])
def test_detection(tmp_path, make):
  for name, path in make(tmp_path).items():
    found, why = lib.detect(path, make.__name__)
    assert found == name and why


def test_all_formats_are_tried():
  """Those that are not in the samples above have no sign of their own."""
  named = {"tsp", "actionformer_thumos", "actionformer_activitynet", "epic_slowfast", "transposed",
           "bmn_transposed"}
  assert {x.name for x in lib.formats("features")} - named == {
      "folder", "folders", "bmn_csv", "gtad_thumos", "hdf5", "activitynet_c3d"}
  assert {x.name for x in lib.formats("annotations")} == {*JSON_SAMPLES, *TEXT_SAMPLES}
  assert {x.name for x in lib.formats("proposals")} == {"activitynet", "ssn", "daps", "bmn"}
  for kind in lib.KINDS:
    names = [x.name for x in lib.formats(kind)]
    assert len(set(names)) == len(names) > 0
    assert any(x.write for x in lib.formats(kind))


def test_signs_far_into_a_file(tmp_path):
  """The official file may have its taxonomy, some 100 kB, in front."""
  path = tmp_path / "a.json"
  path.write_text(json.dumps({"taxonomy": ["x" * 70] * 2000} | JSON_SAMPLES["opentad"]))
  assert lib.detect(path, "annotations")[0] == "opentad"


def test_statement(tmp_path):
  path = annotations(tmp_path)["opentad"]
  reading = lib.read(path, "annotations")
  assert reading.statement == (f"{path}: annotations in the format 'opentad' (JSON with 'database',"
                               " truths with 'segment(frames)')")
  assert reading.format == "opentad" and not reading.faults
  named = lib.read(path, "annotations", format="activitynet")
  assert named.statement.endswith("'activitynet' (as asked)")


@pytest.mark.parametrize(("content", "message"), [
    ('{"results": {"a": []}}', "no known format of annotations. It looks like proposals"),
    ("[]", "(?s)Known are:.*kinetics: Kinetics' csv.*data.annotations_format"),
    (b"\x00\x01", "no known format"), ("", "no known format")])
def test_unknown(tmp_path, content, message):
  path = tmp_path / "a.json"
  path.write_bytes(content if isinstance(content, bytes) else content.encode())
  with pytest.raises(DataError, match=message):
    lib.detect(path, "annotations")


@pytest.mark.parametrize(("content", "message"), [
    ('{"url": "x", "truths": [{"time": 1, "label": "x"}]}',
     "JSON, an object with the keys url, truths; in it objects with the keys time, label. Nearest"),
    ('[{"segment": [1, 2]}]', "JSON, a list; in it objects with the keys segment"),
    ("video_id,start_timestamp,stop_timestamp,class\n",
     "separated by commas, .* video_id, .*class. Nearest is 'epic', .* verb_class, noun_class"),
    ("youtube_id;start;end;label\n", "separated by semicolons.*Nearest is 'csv', .* video_id"),
    ("hello there\n", "text that begins with the line 'hello there'"), ("", "The file is empty"),
    (b"PK\x03\x04[Content_Types].xml xl/", "an Excel workbook"),
    (b"\x80\x04\x95", "a Python pickle"),
    (b"a,b\rc,d\r", "separated by commas, with the columns a, b")])
def test_what_was_seen_is_said_in_the_first_line(tmp_path, content, message):
  path = tmp_path / "a.json"
  path.write_bytes(content if isinstance(content, bytes) else content.encode())
  with pytest.raises(DataError) as fault:
    lib.detect(path, "annotations")
  first = str(fault.value).splitlines()[0]
  assert re.search("no known format of annotations.*" + message, first), first


def test_a_format_that_cannot_look_is_passed_over(tmp_path, monkeypatch):
  def fails(probe):
    raise csv.Error("odd")
  broken = lib.formats("annotations")[0]._replace(name="broken", detect=fails)
  monkeypatch.setattr(lib, "formats", lambda kind=None, known=lib.formats: (broken, *known(kind)))
  assert lib.detect(annotations(tmp_path)["csv"], "annotations")[0] == "csv"


def test_folders(tmp_path):
  with pytest.raises(DataError, match="The folder is empty"):
    lib.detect(tmp_path, "features")
  for name in ("flow", "rgb"):
    (tmp_path / name).mkdir()
  with pytest.raises(DataError, match="holds the folders flow, rgb: .* with a comma between"):
    lib.detect(tmp_path, "features")


def test_wrong_use(tmp_path):
  path = annotations(tmp_path)["activitynet"]
  with pytest.raises(DataError, match="data.annotations_format = 'coco'; there are auto, thumos14"):
    lib.read(path, "annotations", format="coco")
  for format in ("auto", "activitynet"):
    with pytest.raises(DataError, match="cannot read .*none.json: No such file"):
      lib.read(tmp_path / "none.json", "annotations", format=format)
  with pytest.raises(DataError, match="data.background means nothing for annotations in"):
    lib.read(path, "annotations", background=True)
  with pytest.raises(DataError, match="not written in the format 'thumos14'; .*activitynet, csv"):
    lib.write(path, "annotations", None, format="thumos14")


def test_faults_are_one_error_or_a_list(tmp_path):
  path = tmp_path / "a.json"
  path.write_text(json.dumps({"database": {"a": VIDEO} | {f"x{i}": 3 for i in range(30)}}))
  reading = lib.read(path, "annotations", strict=False)
  assert list(reading.value.videos) == ["a"] and len(reading.faults) == 30
  with pytest.raises(DataError, match=r"(?s)30 fault\(s\):\n  x0: is not an object.*and 10 more"):
    lib.read(path, "annotations")


def test_real_files(data_dir):
  """What each of the public samples is taken for."""
  for path, kind, name in (
      ("activitynet/activity_net.v1-3.json", "annotations", "activitynet"),
      ("thumos14/thumos14_v2.json", "annotations", "thumos14"),
      ("hapt/hapt.json", "annotations", "activitynet"), ("hapt/features", "features", "folder"),
      ("kinetics/kinetics-400_val.csv", "annotations", "kinetics"),
      # Its rows are frames, not C3D's of ActivityNet: the generic format, without a time grid.
      ("daps/c3d_after_pca.hdf5", "features", "hdf5"),
      ("proposals/activitynet1.2_tag_val_normalized_proposal_list.txt", "proposals", "ssn"),
      ("evaluator/thumos14_predictions.json", "predictions", "activitynet")):
    assert lib.detect(data_dir / path, kind)[0] == name
