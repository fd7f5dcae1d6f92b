"""Which detections are drawn, and the figure."""

import json

import numpy as np
import pytest

from experiments import timelines
from tal_jax.data.predictions import read_predictions
from tal_jax.errors import DataError


@pytest.fixture
def files(tmp_path):
  truth = {"version": "1", "taxonomy": [], "database": {
      name: {"subset": "validation", "duration": 30.0, "annotations": [
          {"label": "run", "segment": [2.0, 9.0]}, {"label": "<b>jump</b>", "segment": [20, 24]}]}
      for name in ("a", "b", "unseen")}}
  rng = np.random.default_rng(0)
  results = {name: [{"label": label, "score": float(score), "segment": [float(s), float(s + 5)]}
                    for label in ("run", "<b>jump</b>", "of no truth")
                    for s, score in zip(25 * rng.random(8), rng.random(8), strict=True)]
             for name in ("v_a", "b")}
  (tmp_path / "truth.json").write_text(json.dumps(truth))
  (tmp_path / "predictions.json").write_text(json.dumps(
      {"version": "1", "results": results, "external_data": {}}))
  return tmp_path


def run(files, **options):
  return timelines.run(str(files / "truth.json"), str(files / "predictions.json"),
                       str(files / "out" / "t.png"), **options)


def test_draws_the_videos_with_predictions(files):
  assert run(files) == ["v_a", "b"]
  assert (files / "out" / "t.png").read_bytes()[:4] == b"\x89PNG"
  assert run(files, videos=["unseen"], per_class=1) == ["unseen"]


def test_the_surest_detections_of_a_class(files):
  detected = read_predictions(files / "predictions.json")
  results = json.loads((files / "predictions.json").read_text())["results"]
  wanted = sorted(((e["score"], e["segment"]) for e in results["v_a"] if e["label"] == "run"),
                  reverse=True)[:3]
  for name in ("a", "v_a"):  # with and without the prefix
    got = timelines.best(detected, name, "run", 3)
    np.testing.assert_array_equal(got, [[*segment, score] for score, segment in wanted])
  assert timelines.best(detected, "a", "no such class", 3).shape == (0, 3)
  assert timelines.best(detected, "unseen", "run", 3).shape == (0, 3)


@pytest.mark.parametrize("options, message", [
    ({"videos": ["nobody"]}, "no annotation of nobody"), ({"per_class": 0}, "at least 1")])
def test_faults(files, options, message):
  with pytest.raises(DataError, match=message):
    run(files, **options)


def test_nothing_to_draw(files):
  text = json.dumps({"version": "1", "results": {"x": []}, "external_data": {}})
  (files / "predictions.json").write_text(text)
  with pytest.raises(DataError, match="any video"):
    run(files)
