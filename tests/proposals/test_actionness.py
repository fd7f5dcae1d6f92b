"""Actionness of rows against scikit-learn's SVM, and by hand."""

import numpy as np
import pytest
from sklearn.svm import LinearSVC

from tal_jax.data.records import TimeGrid
from tal_jax.errors import DataError
from tal_jax.proposals import actionness


def test_labels_by_hand():
  """Centres at 0.5, 1.5, ... s; a start belongs to the truth, an end does not."""
  labels = actionness.row_labels(6, TimeGrid(1.0), np.array([[1.5, 3.5], [3.0, 4.0]]))
  np.testing.assert_array_equal(labels, [-1, 1, 1, 1, -1, -1])
  np.testing.assert_array_equal(actionness.row_labels(2, TimeGrid(1.0), np.zeros((0, 2))), [-1, -1])


def test_ranks_rows_as_scikit_learn_does():
  rng = np.random.default_rng(0)
  labels = np.where(rng.random(300) < 0.4, 1.0, -1.0).astype(np.float32)
  rows = (rng.standard_normal((300, 6)) + 0.8 * labels[:, None] * [1, 1, 0, 0, 0, 0]
          ).astype(np.float32) * [1, 50, 1, 1, 1, 0] + 7
  params = actionness.fit(rows, labels, c=0.1, tol=1e-5)
  found = actionness.actionness(params, rows)
  assert found.min() > 0 and found.max() < 1
  scaled = (rows - rows.mean(axis=0)) / np.where(rows.std(axis=0) > 0, rows.std(axis=0), 1)
  other = LinearSVC(C=0.1, loss="squared_hinge", tol=1e-8, max_iter=10 ** 5).fit(scaled, labels)
  assert np.corrcoef(np.log(found / (1 - found)), other.decision_function(scaled))[0, 1] > 0.9999
  # Calibrated: of rows with such a probability, that share is action.
  for low, high in ((0.0, 0.3), (0.3, 0.7), (0.7, 1.0)):
    chosen = (found >= low) & (found < high)
    assert abs((labels[chosen] > 0).mean() - found[chosen].mean()) < 0.1


def test_rows_of_one_kind_are_a_fault():
  with pytest.raises(DataError, match="all 3 rows"):
    actionness.fit(np.ones((3, 2)), np.ones(3))
