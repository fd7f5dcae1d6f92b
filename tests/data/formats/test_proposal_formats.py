"""Proposals in every format: by hand, round trips, and what goes wrong."""

import json

import numpy as np
import pytest

from tal_jax.data.annotations import from_videos, read_annotations
from tal_jax.data.formats import registry, ssn
from tal_jax.data.proposals import ranked, read_proposals, write_proposals
from tal_jax.data.records import ScoredProposals, VideoAnnotation
from tal_jax.errors import DataError
from tal_jax.metrics import proposal_recall

DURATIONS = {"a": 20.0, "b": 50.0}
RATES = {"a": 25.0, "b": 30.0}
CONTEXT = dict(durations=DURATIONS, rates=RATES)
ANNOTATIONS = from_videos([
    VideoAnnotation("a", "s", 20.0, np.array([[2.0, 6.0], [10.0, 15.0]]), ("run", "sit")),
    VideoAnnotation("b", "s", 50.0, np.zeros((0, 2)), ())])
PROPOSALS = {
    "a": ScoredProposals(np.array([[0.1, 4.0], [9.0, 14.0], [16.0, 19.0]]),
                         np.array([0.25, 0.75, 1 / 3])),
    "b": ScoredProposals(np.array([[1 / 3, 20.0]]), np.array([1e-9]))}


def assert_same(read, expected, **tolerance):
  assert list(read) == list(expected)
  for video_id, (segments, scores) in expected.items():
    np.testing.assert_allclose(read[video_id].segments, segments, **tolerance)
    np.testing.assert_array_equal(read[video_id].scores, scores)


def read(path, **options):
  return registry.read(path, "proposals", **options).value


@pytest.mark.parametrize(("format", "options", "rtol"), [
    ("activitynet", {}, 0), ("bmn", {"durations": DURATIONS}, 1e-15),
    ("daps", {"rates": RATES}, 1e-15)])
def test_round_trip(tmp_path, format, options, rtol):
  write_proposals(tmp_path / "p", PROPOSALS, format=format, **options)
  assert registry.detect(tmp_path / "p", "proposals")[0] == format
  got = read(tmp_path / "p", **CONTEXT)
  got = {video_id.removeprefix("v_"): x for video_id, x in got.items()}
  assert_same(got, PROPOSALS, rtol=rtol)
  best = read_proposals(tmp_path / "p", limit=2, **CONTEXT)
  np.testing.assert_allclose(next(iter(best.values())), [[9, 14], [16, 19]], rtol=1e-15)


def test_ranking():
  segments = np.arange(8.0).reshape(4, 2)
  np.testing.assert_array_equal(ranked(ScoredProposals(segments, None), 2), segments[:2])
  order = ranked(ScoredProposals(segments, np.array([1, 3, 3, 0.5])))
  np.testing.assert_array_equal(order, segments[[1, 2, 0, 3]])


def test_ssn_round_trip(tmp_path):
  path = tmp_path / "list_val.txt"
  write_proposals(path, PROPOSALS, format="ssn", annotations=ANNOTATIONS)
  blocks = path.read_text().split("# ")
  # Best first; [9, 14] against [10, 15]: overlap 4 of 6, and 4 of its own 5.
  assert blocks[1] == (
      "1\na\n1\n1\n2\n1 0.100000 0.300000\n2 0.500000 0.750000\n3\n"
      "2 0.6667 0.8000 0.450000 0.700000\n0 0.0000 0.0000 0.800000 0.950000\n"
      "1 0.3390 0.5128 0.005000 0.200000\n")
  best = {i: ScoredProposals(ranked(x), None) for i, x in PROPOSALS.items()}
  assert_same(read(path, **CONTEXT), best, atol=1e-6 * 50)
  info = tmp_path / "info.csv"
  info.write_text("video_id,duration\na,20\nb,50\n")
  truths = read_annotations(path, video_info=info)
  assert truths.videos["a"].labels == ("class 1", "class 2")
  assert truths.videos["a"].subset == "validation"
  np.testing.assert_allclose(truths.videos["a"].segments, [[2, 6], [10, 15]])
  with pytest.raises(DataError, match="Give data.video_info"):
    read_annotations(path)
  with pytest.raises(DataError, match="c is not annotated"):
    write_proposals(path, {"c": PROPOSALS["a"]}, format="ssn", annotations=ANNOTATIONS)


SSN_FRAMES = ("# 1\n/frames/a\n250\n2\n1\n3 100 200\n2\n3 0.5 0.7 50 250\n0 0 0 400 500\n\n"
              "# 2\nb\n1500\n1\n0\n1\n0 0 0 300 600\n")


def test_ssn_in_frames(tmp_path):
  """250 * 2 = 500 units are 20 s, 1,500 frames 50 s; without durations frames / fps."""
  path = tmp_path / "p.txt"
  path.write_text(SSN_FRAMES)
  expected = {"a": ScoredProposals(np.array([[2.0, 10], [16, 20]]), None),
              "b": ScoredProposals(np.array([[10.0, 20]]), None)}
  assert_same(read(path, durations=DURATIONS), expected, rtol=1e-15)
  assert_same(read(path, rates=RATES), expected, rtol=1e-15)
  [block, _], faults = ssn.parse(path)
  assert not faults and block.labels.tolist() == [3] and block.length == 500
  np.testing.assert_array_equal(block.truths, [[100, 200]])
  assert len(read(path, durations={"b": 50.0})["a"].segments) == 0  # cannot be known
  with pytest.raises(DataError, match="the durations of the videos are needed"):
    read(path)


def test_ssn_faults(tmp_path):
  path = tmp_path / "p.txt"
  path.write_text(SSN_FRAMES + "# 3\nc\n1\n1\n2\n1 0 1\n0\n# 4\nb\n1\n1\n0\n0\n# 5\n")
  faults = registry.read(path, "proposals", strict=False, **CONTEXT).faults
  assert [x.video_id for x in faults] == ["c", "b", ""]
  assert "the block at line 18 is not id, n_frames" in faults[0].message
  assert faults[1].message == "duplicate id, again at line 25"


def test_bmn_by_hand(tmp_path):
  """The official columns; ids without a duration have no proposals, they are not annotated."""
  head = "xmin,xmax,xmin_score,xmax_score,clr_score,reg_socre,score\n"
  (tmp_path / "v_a.csv").write_text(head + "0.1,0.5,1,1,1,1,0.3\n0.0,1.0,1,1,1,1,0.2\n")
  (tmp_path / "b.csv").write_text("score,xmin,xmax\n")
  (tmp_path / "v_c.csv").write_text(head + "0.1,0.5,1,1,1,1,0.3\n")
  got = read(tmp_path, durations=DURATIONS)
  np.testing.assert_allclose(got["v_a"].segments, [[2, 10], [0, 20]])
  assert got["v_a"].scores.tolist() == [0.3, 0.2]
  assert got["b"].segments.shape == got["v_c"].segments.shape == (0, 2)
  with pytest.raises(DataError, match="their durations are needed"):
    read(tmp_path)
  (tmp_path / "v_a.csv").write_text(head + "0.1,x,1,1,1,1,0.3\n")
  (tmp_path / "b.csv").write_text("xmin,xmax\n0,1\n")
  with pytest.raises(DataError, match=r"2 fault\(s\):\n  b: .*no column 'score'.*\n  v_a: v_a.csv"):
    read(tmp_path, durations=DURATIONS, format="bmn")


def test_daps_by_hand(tmp_path):
  path = tmp_path / "p.csv"
  path.write_text("f-init f-end score video-name\n50 100   0.9 a\n"
                  "30.0 60.0 0.1 b\n0 25 1 a\n0 1 1 c\n")
  got = read(path, rates=RATES)
  np.testing.assert_allclose(got["a"].segments, [[2, 4], [0, 1]])
  assert got["a"].scores.tolist() == [0.9, 1] and got["b"].segments.tolist() == [[1, 2]]
  assert len(got["c"].segments) == 0
  with pytest.raises(DataError, match="the frame rates of the videos are needed"):
    read(path, durations=DURATIONS)
  path.write_text("f-init f-end score video-name\n50 x 0.9 a\n1 2 3\n")
  with pytest.raises(DataError, match=r"(?s)line 3 has 3 columns.*a: line 2: f-end = 'x'"):
    read(path, rates=RATES)


@pytest.mark.parametrize(("format", "options", "message"), [
    ("bmn", {"durations": {}}, "a has no duration"),
    ("daps", {"rates": {}}, "a has no frame rate")])
def test_writers_refuse(tmp_path, format, options, message):
  with pytest.raises(DataError, match=message):
    write_proposals(tmp_path / "p", PROPOSALS, format=format, **options)
  unscored = {"a": ScoredProposals(np.zeros((1, 2)), None)}
  full = {name: CONTEXT[name] for name in options}
  with pytest.raises(DataError, match="a has no scores"):
    write_proposals(tmp_path / "p", unscored, format=format, **full)


def test_json_without_scores(tmp_path):
  unscored = {"a": ScoredProposals(np.array([[0.0, 1.0], [2.0, 3.0]]), None)}
  write_proposals(tmp_path / "p.json", unscored)
  assert_same(read(tmp_path / "p.json"), unscored)
  content = json.loads((tmp_path / "p.json").read_text())
  content["results"]["b"] = [{"segment": [0, 1], "score": 0.5}]
  (tmp_path / "p.json").write_text(json.dumps(content))
  with pytest.raises(DataError, match="a: no scores, where other videos have them"):
    read(tmp_path / "p.json")


def test_predictions_both_ways(tmp_path, data_dir):
  path = data_dir / "evaluator" / "thumos14_predictions.json"
  file = registry.read(path, "predictions").value
  registry.write(tmp_path / "p.json", "predictions", file, format="activitynet")
  again = registry.read(tmp_path / "p.json", "predictions").value
  assert again.video_ids == file.video_ids and again.classes == file.classes
  for a, b in zip(again.predictions, file.predictions, strict=True):
    np.testing.assert_array_equal(a, b)


def test_tag_proposals_in_seconds(data_dir):
  """ActivityNet 1.2's validation: truths and proposals of one list, in the seconds of version 1.3.

  Against the truths of version 1.3, of which one is new and some moved, recall is 0.001 higher.
  """
  path = data_dir / "proposals" / "activitynet1.2_tag_val_normalized_proposal_list.txt"
  info = data_dir / "activitynet" / "activity_net.v1-3.json"
  truths = read_annotations(path, video_info=info)
  proposals = read_proposals(path, durations={i: x.duration for i, x in truths.videos.items()})
  assert sum(len(x.segments) for x in truths.videos.values()) == 3582
  found = proposal_recall.recall([x.segments for x in truths.videos.values()],
                                 [proposals[i] for i in truths.videos])
  assert found.recall.round(3).tolist() == [0.873, 0.717, 0.408]
  newer = read_annotations(info)
  found = proposal_recall.recall([newer.videos[i].segments for i in proposals],
                                 list(proposals.values()))
  assert found.num_truths == 3583
  assert found.recall.round(3).tolist() == [0.874, 0.718, 0.41]
