"""What a campaign's labels, classes and gold answers are found to say of its videos."""

import json

import pytest

from configs import campaign as campaign_config
from tal_jax.annotation import names
from tal_jax.annotation.videos.media import Probe
from tal_jax.errors import DataError
from tal_jax.runs.campaign import labels as annotate_labels

VIDEOS = ("door_01", "door_02", "door_03", "Ko\u0308ln")


def matched(tmp_path, labels, *, classes=None, gold=None, elsewhere=(), **changes):
  made = campaign_config.get_config()
  for name, content in (("labels", labels), ("classes", classes), ("gold", gold)):
    if content is not None:
      path = tmp_path / f"{name}.json"
      path.write_text(json.dumps(content))
      made.campaign[name] = str(path)
  made.update_from_flattened_dict(changes)
  probes = {name: Probe(9.0, 25.0, 225, 320, 240, "") for name in VIDEOS}
  return annotate_labels.match(made, annotate_labels.read_files(made.campaign),
                               names.Videos({name: f"{name}.mp4" for name in VIDEOS}), probes,
                               elsewhere)


def test_labels_of_every_video_say_nothing(tmp_path):
  found = matched(tmp_path, dict.fromkeys(VIDEOS, "count"))
  assert found.intended == dict.fromkeys(VIDEOS, {"count": None}) and found.remarks == []


def test_ids_with_a_suffix_and_in_the_other_form_of_unicode(tmp_path):
  found = matched(tmp_path, {"door_01": "a", "door_02.mp4": "b", "K\u00f6ln": ["a", "c"]})
  assert found.intended == {"door_01": {"a": None}, "door_02": {"b": None},
                            "Ko\u0308ln": {"a": None, "c": None}}
  assert found.remarks == ["1 of 4 videos have no label of the campaign and are left out: door_03"]
  assert matched(tmp_path, {"door_01": "a"}, elsewhere={"door_03", "Ko\u0308ln"}).remarks == [
      "1 of 4 videos have no label of the campaign and are left out: door_02"]


def test_ids_of_no_video(tmp_path):
  found = matched(tmp_path, dict.fromkeys(VIDEOS, "count") | {"dor_01": "count", "zzz": "count"})
  assert len(found.intended) == 4 and len(found.remarks) == 1
  assert found.remarks[0].endswith(
      "labels.json: 2 of its ids are of no video: 'dor_01' (did you mean 'door_01'?), 'zzz'")
  with pytest.raises(DataError, match="'DOOR_01' \\(did you mean 'door_01'\\?\\)"):
    matched(tmp_path, {"DOOR_01": "count"})
  with pytest.raises(DataError, match="'door_01' and 'door_01.mp4' are the same video"):
    matched(tmp_path, {"door_01": "a", "door_01.mp4": "b"})


def test_classes_that_are_alike_or_not_asked_for(tmp_path):
  labels = {"door_01": "count", "door_02": "count ", "door_03": ["Count", "jump"],
            VIDEOS[3]: "jump"}
  found = matched(tmp_path, labels, classes={"cuont": "One by one.", "jump": "Up."})
  alike, strange, bare = found.remarks
  assert "'Count', 'count', 'count '" in alike
  assert strange.endswith("nobody is asked for 'cuont' (did you mean 'count'?)")
  assert "no instructions for Count, count, count" in bare
  assert matched(tmp_path, labels, classes={"jump": "Up."}, **{"campaign.num_classes": 1}
                 ).intended.keys() < set(VIDEOS)


def gold(*entries):
  return {"database": {video: {"subset": "gold", "duration": 9.0, "annotations": [
      {"segment": [1, 2], "label": label}]} for video, label in entries}}


def test_gold_answers(tmp_path):
  labels = dict.fromkeys(VIDEOS[:3], "count")
  found = matched(tmp_path, labels, gold=gold(("K\u00f6ln", "count")))
  assert [(item.video, item.label) for item in found.gold] == [(VIDEOS[3], "count")]
  assert found.remarks == []
  found = matched(tmp_path, labels, gold=gold(("door_03.mp4", "cuont")))
  assert {(item.video, item.label) for item in found.gold} == {
      ("door_03", "cuont"), ("door_03", "count")}
  assert "gold.json: nobody is asked for 'cuont' (did you mean 'count'?)" in found.remarks[-1]
  with pytest.raises(DataError, match="'dor_03' \\(did you mean 'door_03'.*among campaign.videos"):
    matched(tmp_path, labels, gold=gold(("dor_03", "count")))
