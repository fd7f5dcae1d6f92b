"""experiments.evaluate says when predictions are not in seconds, or no JSON."""

import json

import pytest

from experiments import evaluate
from tal_jax.errors import DataError

SEGMENTS = {"a": [2, 9], "b": [5, 14], "c": [11, 18]}


def notes(folder, change):
  truth = {key: {"subset": "test", "duration": 25.0, "fps": 20, "annotations": [
      {"segment": x, "label": "x"}]} for key, x in SEGMENTS.items()}
  (folder / "truth.json").write_text(json.dumps({"database": truth}))
  (folder / "p.json").write_text(json.dumps({"results": {key: [
      {"label": "x", "score": 0.5, "segment": [change(t) for t in x]}] for key, x in
      SEGMENTS.items()}}))
  found = evaluate.examine(str(folder / "truth.json"), str(folder / "p.json"), "test", [0.5])
  return found.result["average_mAP"], [x for x in found.notes if "not in seconds" in x]


@pytest.mark.parametrize(("change", "said"), [
    (lambda t: t * 20, "frames at 20 a second would make them 0.56"),
    (lambda t: t * 1000, "milliseconds would make them 0.56"),
    (lambda t: t * 1e6, "microseconds would make them 0.56"),
    (lambda t: t / 25, "shares of the videos?")])
def test_the_unit_of_predictions(tmp_path, change, said):
  score, found = notes(tmp_path, change)
  assert score == 0 and len(found) == 1 and said in found[0]


def test_seconds_are_seconds(tmp_path):
  assert notes(tmp_path, float) == (1.0, [])


def test_names_in_capitals_are_shown_with_those_that_they_are(tmp_path):
  """Not the first name of either file, which need not be one."""
  notes(tmp_path, float)
  (tmp_path / "p.json").write_text(json.dumps({"results": {
      name: [{"label": "x", "score": 0.5, "segment": [1, 2]}] for name in ("z", "C", "B", "A")}}))
  with pytest.raises(DataError, match="none of its 4 video ids .* for example 'C', the ground truth"
                     " 'c'; did you mean 'c'. 3 of them differ in spelling alone"):
    evaluate.examine(str(tmp_path / "truth.json"), str(tmp_path / "p.json"), "test", [0.5])


def test_a_table_of_predictions_is_told_what_is_wanted(tmp_path):
  notes(tmp_path, float)
  (tmp_path / "p.csv").write_text("video-id,t-start,t-end,label,score\na,1,2,x,0.5\n")
  with pytest.raises(DataError) as fault:
    evaluate.examine(str(tmp_path / "truth.json"), str(tmp_path / "p.csv"), "test", [0.5])
  said = str(fault.value)
  assert "a table, separated by commas, with the columns video-id, t-start" in said
  assert 'To convert it: JSON {"results"' in said and "data." not in said
