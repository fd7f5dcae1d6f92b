"""The plot of seconds against labels."""

import json

import numpy as np
import pytest

from experiments import step_times as lib
from tal_jax.errors import DataError


def write(folder, steps):
  rows = [{"strategy": name, "step": i, "num_labeled": 10 * (i + 1), "seconds": 2.0 + 0.3 * i}
          for name in ("a", "b") for i in range(steps)]
  (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_line_by_hand_and_plot(tmp_path):
  write(tmp_path, 5)
  steps = lib.read(tmp_path)
  assert set(steps) == {"a", "b"} and steps["a"].shape == (4, 2)  # without the first rows
  np.testing.assert_allclose(lib.fit(steps), (1.7, 0.03), rtol=1e-6)
  lib.plot(steps, tmp_path / "new" / "plot.png")
  assert (tmp_path / "new" / "plot.png").stat().st_size > 5_000


def test_faults(tmp_path):
  with pytest.raises(DataError, match="no such file"):
    lib.read(tmp_path)
  write(tmp_path, 1)
  with pytest.raises(DataError, match="nothing to plot"):
    lib.read(tmp_path)
