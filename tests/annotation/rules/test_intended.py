"""Which classes are asked for in which video: files by hand, and Kinetics' own csv."""

import json

import pytest

from tal_jax.annotation.rules import intended
from tal_jax.annotation.rules.intended import Example
from tal_jax.errors import DataError


def written(tmp_path, name, content):
  path = tmp_path / name
  path.write_text(content if isinstance(content, str) else json.dumps(content))
  return path


def test_a_mapping(tmp_path):
  path = written(tmp_path, "labels.json", {"a": "jump", "b": ["run", "jump", "run"], "c": []})
  assert intended.read_labels(path) == {"a": {"jump": None}, "b": {"run": None, "jump": None}}


def test_a_table_with_hints(tmp_path):
  path = written(tmp_path, "labels.csv",
                 "video,label,start,end\na,jump,1.5,3\na,run,,\nb,jump,,\n")
  assert intended.read_labels(path) == {"a": {"jump": (1.5, 3.0), "run": None},
                                        "b": {"jump": None}}
  path = written(tmp_path, "plain.csv", "video,label\na,jump\n")
  assert intended.read_labels(path) == {"a": {"jump": None}}


def test_annotations_in_any_format(tmp_path):
  path = written(tmp_path, "truth.json", {"database": {
      "a": {"subset": "x", "duration": 9.0, "annotations": [
          {"segment": [0, 1], "label": "run"}, {"segment": [2, 3], "label": "run"}]},
      "b": {"subset": "x", "duration": 9.0, "annotations": []}}})
  assert intended.read_labels(path) == {"a": {"run": None}}
  path = written(tmp_path, "kinetics.csv",
                 "label,youtube_id,time_start,time_end,split\njump,a-b,36,46,val\n")
  assert intended.read_labels(path) == {"a-b": {"jump": (36.0, 46.0)}}


@pytest.mark.parametrize(("name", "content", "message"), [
    ("l.json", {"a": 3}, "list of labels"), ("l.json", [1], "must be a JSON object"),
    ("l.json", {}, "no video has a label"), ("l.json", "{", "not JSON"),
    ("l.csv", "video,label,start,end\na,jump,1,x\n", "line 2"),
    ("l.csv", "video,label,start\na,jump,1\n", "a start and an end"),
    ("l.csv", "video,label\na,jump,1\n", "3 columns")])
def test_faults(tmp_path, name, content, message):
  with pytest.raises(DataError, match=message):
    intended.read_labels(written(tmp_path, name, content))


def test_classes_and_their_texts(tmp_path):
  path = written(tmp_path, "classes.json", {
      "run": "Faster than a walk.",
      "jump": {"instructions": "Off the ground.", "example": {"text": "Here", "segments": [[1, 2]],
                                                              "duration": 4}}, "sit": {}})
  found = intended.read_classes(path)
  assert found["run"] == intended.ClassText("Faster than a walk.")
  assert found["jump"].example == Example("Here", [(1.0, 2.0)], 4.0)
  assert found["sit"] == intended.ClassText()
  assert intended.every_class(["v"], ("jump", "run")) == {"v": {"jump": None, "run": None}}
  for bad in ({"run": 1}, {"run": {"instruction": "x"}}, {"run": {"example": {"segments": []}}}):
    with pytest.raises(DataError, match="classes.json"):
      intended.read_classes(written(tmp_path, "classes.json", bad))


def test_a_hint_stays_inside_the_video():
  assert intended.inside(None, 9.0) is None
  assert intended.inside((1.0, 11.0), 9.0) == (1.0, 9.0)
  assert intended.inside((-1.0, 2.0), 9.0) == (0.0, 2.0)
  assert intended.inside((9.0, 19.0), 9.0) is None


def test_drawn_classes():
  labels = {f"v{i}": {f"c{i % 5}": None} for i in range(20)} | {"two": {"c0": None, "c1": None}}
  assert intended.draw_classes(labels, 0, seed=3) == labels
  drawn = intended.draw_classes(labels, 2, seed=3)
  classes = {label for asked in drawn.values() for label in asked}
  assert len(classes) == 2 and drawn == intended.draw_classes(labels, 2, seed=3)
  assert {v for v, asked in labels.items() if asked.keys() & classes} == set(drawn)
  others = [intended.draw_classes(labels, 2, seed=seed).keys() for seed in range(10)]
  assert any(other != drawn.keys() for other in others)
  with pytest.raises(DataError, match="has 5 classes"):
    intended.draw_classes(labels, 6, seed=0)


def test_kinetics_itself(data_dir):
  """The validation csv: 75 of 400 classes, each video one label and a clip of ten seconds."""
  path = data_dir / "kinetics" / "kinetics-400_val.csv"
  if not path.exists():
    pytest.skip(f"{path} is not there")
  labels = intended.read_labels(path)
  lines = path.read_text().splitlines()[1:]
  assert len(labels) == len(lines) == 19_906
  assert sum(len(asked) for asked in labels.values()) == len(lines)
  spans = [hint[1] - hint[0] for asked in labels.values() for hint in asked.values()]
  assert set(spans) == {10.0}
  drawn = intended.draw_classes(labels, 75, seed=0)
  classes = {label for asked in drawn.values() for label in asked}
  assert len(classes) == 75
  assert len(drawn) == sum(line.split(",")[0].strip('"') in classes for line in lines)


@pytest.mark.parametrize(("name", "content", "message"), [
    ("l.json", '{"a": "jump", "a": "run", "b": "run"}', "'a' is there 2 times"),
    ("l.json", {"a": ""}, "a label of 'a' is blank"),
    ("l.json", {"b": "run", "a": ["run", " \t"]}, "a label of 'a' is blank"),
    ("l.json", {"a": "x" * 201}, "a label of 'a' has 201 characters"),
    ("l.csv", "video,label\na,jump\nb,\n", "line 3: the label is blank"),
    ("l.csv", "video,label,start,end\na,jump,1,2\na,jump,3,4\n", "line 3: .a. has the label"),
    ("t.json", '{"database": {"a": {"subset": "x", "duration": 9, "annotations": ['
     '{"segment": [0, 1], "label": " "}]}}}', "blank")])
def test_mistakes_in_labels(tmp_path, name, content, message):
  with pytest.raises(DataError, match=message):
    intended.read_labels(written(tmp_path, name, content))


def test_labels_in_both_forms_of_unicode_are_one_class(tmp_path):
  path = written(tmp_path, "l.json", {"a": "caf\u00e9", "b": ["cafe\u0301", "caf\u00e9"]})
  assert intended.read_labels(path) == {"a": {"caf\u00e9": None}, "b": {"caf\u00e9": None}}


@pytest.mark.parametrize(("content", "message"), [
    ('{"run": "x", "run": "y"}', "'run' is there 2 times"),
    ('{"run": {"instructions": "x", "instructions": "y"}}', "'instructions' is there 2 times"),
    ('{"caf\\u00e9": "x", "cafe\\u0301": "y"}', "is there twice"),
    ('{" ": "x"}', "a class is blank"), ('{"' + "x" * 201 + '": "x"}', "a class has 201")])
def test_mistakes_in_classes(tmp_path, content, message):
  with pytest.raises(DataError, match=message):
    intended.read_classes(written(tmp_path, "classes.json", content))
