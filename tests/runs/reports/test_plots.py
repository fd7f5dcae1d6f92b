"""The plot: what is drawn, written in one piece."""

import matplotlib
import numpy as np
import pytest
from PIL import Image

from tal_jax.runs.reports import plots as lib
from tests.runs.reports.test_summary import TWO, X, rows

matplotlib.use("Agg")


@pytest.fixture
def figure(monkeypatch):
  """Keeps the figure that is closed."""
  import matplotlib.pyplot as plt
  kept = []
  monkeypatch.setattr(plt, "close", kept.append)
  return kept


def test_curves_and_bands(tmp_path, figure):
  lib.learning_curves(TWO, tmp_path / "c.png", title="anet", caption="Simulated data. " * 30)
  assert [path.name for path in tmp_path.iterdir()] == ["c.png"]
  with Image.open(tmp_path / "c.png") as image:
    assert image.width > 1000 and np.asarray(image).std() > 5
  left, right = figure[0].axes
  lines = {line.get_label(): line for line in left.get_lines()}
  np.testing.assert_allclose(lines["Random"].get_xdata(), X)
  np.testing.assert_allclose(lines["Random"].get_ydata(), [30, 60, 100])
  np.testing.assert_allclose(right.get_lines()[1].get_ydata(), [15, 40, 50])
  # The band: mean -+ 12.706 * s / sqrt(2), with s = 20 / sqrt(2) at the first point.
  points = left.collections[0].get_paths()[0].vertices
  np.testing.assert_allclose(points[np.isclose(points[:, 0], 0.1), 1].min(), 30 - 127.062,
                             rtol=1e-3)
  text = figure[0].get_supxlabel()
  assert text.count("Simulated data.") == 30 and "\n" in text  # wrapped, not cut
  assert figure[0].get_suptitle() == "anet (mean of 2 seeds, band: 95 % CI)"
  assert [t.get_text() for t in left.get_legend().get_texts()] == ["Random", "MCLE"]


def test_one_seed_and_a_strategy_without_a_style(tmp_path, figure):
  lib.learning_curves(rows(mine=[(0.2, 0.5, 1.0)]), tmp_path / "c.png", title="t", caption="c")
  assert figure[0].get_suptitle() == "t (one seed)"
  assert [t.get_text() for t in figure[0].axes[0].get_legend().get_texts()] == ["mine"]


def test_every_style_is_of_a_strategy_and_has_a_colour_of_its_own():
  from tal_jax.selection import SELECTION
  assert set(lib.STYLES) == set(lib.NAMES) <= set(SELECTION)
  assert len({style[0] for style in lib.STYLES.values()}) == len(lib.STYLES)
