"""Simulated proposals against TAG's real ones on ActivityNet 1.2's validation set."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from tal_jax.data.simulation import proposals as simulated_proposals, timelines
from tal_jax.host_segments import tiou_float64


def _read_ssn(path):
  """SSN's text blocks: '# i', id, three numbers, truths 'label s e', proposals 'l iou o s e'."""
  lines, videos, i = path.read_text().splitlines(), [], 0
  while i < len(lines):
    if not lines[i].startswith("#"):
      i += 1
      continue
    blocks = []
    i += 4
    for _ in range(2):
      n = int(lines[i])
      rows = [line.split()[-2:] for line in lines[i + 1:i + 1 + n]]
      blocks.append(np.array(rows, float).reshape(-1, 2))
      i += 1 + n
    videos.append(tuple(blocks))
  return videos


@pytest.fixture(scope="module")
def tag(data_dir):
  path = data_dir / "proposals" / "activitynet1.2_tag_val_normalized_proposal_list.txt"
  if not path.is_file():
    pytest.skip(f"TAG proposals not found at {path}")
  return _read_ssn(path)


def _recall(videos, levels=(0.5, 0.7, 0.9)):
  """Slow loop: the share of truths that a proposal reaches at each tIoU."""
  best = []
  for truths, proposals in videos:
    for s, e in truths:
      overlap = 0.0
      for a, b in proposals:
        inside = max(0.0, min(b, e) - max(a, s))
        overlap = max(overlap, inside / ((b - a) + (e - s) - inside) if inside else 0.0)
      best.append(overlap)
  return [np.mean(np.asarray(best) >= level) for level in levels]


def _draw(truths, num_proposals):
  rng = np.random.default_rng(0)
  return [(t, simulated_proposals.draw_proposals(rng, t * 100, 100.0,
                                                 num_proposals=num_proposals) / 100)
          for t in truths]


def test_recall_at_32_is_tags_at_its_50(tag):
  expected = _recall(tag)
  np.testing.assert_allclose(expected, (0.873, 0.717, 0.408), atol=6e-4)
  assert np.mean([len(proposals) for _, proposals in tag]) == pytest.approx(50.4, abs=0.05)
  ours = _draw([truths for truths, _ in tag if len(truths)], 32)
  np.testing.assert_allclose(_recall(ours), expected, atol=0.03)


def test_proposals_spread_over_overlaps_as_tags_do(tag):
  tag = [(truths, proposals) for truths, proposals in tag if len(truths) and len(proposals)]

  def spread(videos):
    rows = []
    for truths, proposals in videos:
      best = tiou_float64(proposals, truths).max(1)
      rows.append([np.mean(best > 0.7), np.mean(best > 0.5), np.mean(best <= 0.3),
                   np.mean(best <= 0.01)])
    return np.mean(rows, axis=0)

  np.testing.assert_allclose(spread(_draw([t for t, _ in tag], 32)), spread(tag), atol=0.05)


def test_committed_numbers_are_the_refit(tag):
  ceilings, lengths, good, partial = simulated_proposals.fit_proposals(tag)
  np.testing.assert_allclose(simulated_proposals.CEILINGS, ceilings, atol=6e-4)
  np.testing.assert_allclose(simulated_proposals.MISS_LENGTHS, lengths, atol=6e-4)
  np.testing.assert_allclose(simulated_proposals.GOOD_SHARES, good, atol=6e-4)
  np.testing.assert_allclose(simulated_proposals.PARTIAL_SHARES, partial, atol=6e-4)


def test_recall_of_simulated_videos_without_the_real_files():
  rng = np.random.default_rng(1)
  videos = []
  for _ in range(1500):
    duration, segments = timelines.draw_timeline(rng, timelines.ACTIVITYNET)
    drawn = simulated_proposals.draw_proposals(rng, segments, duration, num_proposals=32)
    videos.append((segments, drawn))
  np.testing.assert_allclose(_recall(videos), (0.873, 0.717, 0.408), atol=0.04)
  assert _recall([(t, p[:8]) for t, p in videos])[1] < 0.55  # fewer proposals, less recall


@hypothesis.settings(deadline=None, max_examples=60)
@hypothesis.given(seed=st.integers(0, 10**6), n=st.integers(1, 70), t=st.integers(0, 5),
                  duration=st.floats(0.5, 700))
def test_proposals_are_counted_inside_and_not_empty(seed, n, t, duration):
  rng = np.random.default_rng(seed)
  truths = np.sort(rng.random((t, 2)), axis=1) * duration  # may overlap, may be tiny
  drawn = simulated_proposals.draw_proposals(rng, truths, duration, num_proposals=n)
  assert drawn.shape == (n, 2) and drawn.dtype == np.float64
  assert np.all(drawn[:, 1] > drawn[:, 0])
  assert np.all(drawn >= 0) and np.all(drawn <= duration * (1 + 1e-12))
