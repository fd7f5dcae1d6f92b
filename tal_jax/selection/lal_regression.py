"""Fits LAL's regressor g with scikit-learn's SVR, and measures it on held-out episodes.

Notation as in `lal_selector`. Kernel widths start from the median heuristic, gamma = 1 / median
squared distance; one factor for both, and C, are chosen by cross-validation over episodes (an
episode is never on both sides), for the mean rank correlation within an episode: ranking the
candidates of one state is what g is for. The paper gives no settings of its SVR.
"""

from __future__ import annotations

import dataclasses
import io
import itertools
import json
import pathlib
import zipfile
import zlib
from collections.abc import Sequence

import numpy as np
from scipy import stats
from sklearn.model_selection import KFold
from sklearn.svm import SVR

from tal_jax.errors import DataError
from tal_jax.selection.lal_selector import Selector, product_kernel
from tal_jax.selection.lal_training import Episodes

_FORMAT = 1  # of the artifact
_MAX_COMPONENTS = 16


@dataclasses.dataclass(frozen=True)
class Report:
  """How well g predicts; held-out numbers come from episodes that it was not fitted on."""

  num_rows: int
  num_episodes: int
  nonzero_share: float  # gains that are not exactly 0
  gain_std: float  # AP
  c: float
  gamma_factor: float
  held_out_r2: float
  held_out_spearman: float  # over all held-out rows
  held_out_spearman_within: float  # mean over held-out episodes
  num_support: int


def _standardise(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  scale = rows.std(0)
  return rows.mean(0), np.where(scale > 1e-9, scale, 1.0)


def _median_gamma(rows: np.ndarray) -> float:
  """1 / median squared distance between different rows."""
  rows = rows[:400]
  distances = ((rows[:, None] - rows[None])**2).sum(-1)
  distances = distances[distances > 1e-12]
  return 1.0 / float(np.median(distances)) if len(distances) else 1.0


def _fit(episodes: Episodes, chosen: np.ndarray, *, c: float, gamma_factor: float,
         epsilon: float) -> Selector:
  states = np.asarray(episodes.states, np.float64)[chosen]
  samples = np.asarray(episodes.samples, np.float64)[chosen]
  gains = np.asarray(episodes.gains, np.float64)[chosen]
  e, m, bins = samples.shape
  state_mean = states.mean(0)
  _, singular, components = np.linalg.svd(states - state_mean, full_matrices=False)
  q = max(1, min(_MAX_COMPONENTS, int((singular > 1e-6 * max(singular[0], 1e-12)).sum())))
  # Each component to unit variance would let noise count as much as the main directions: one
  # scale for all instead.
  scale = np.sqrt((singular[:q]**2).sum() / max(e, 1)) or 1.0
  components = components[:q] / scale
  z = np.repeat((states - state_mean) @ components.T, m, axis=0)
  sample_mean, sample_scale = _standardise(samples.reshape(-1, bins))
  u = (samples.reshape(-1, bins) - sample_mean) / sample_scale
  target = gains.ravel()
  target_scale = target.std() or 1.0
  gamma_state = gamma_factor * _median_gamma(z[::m])
  gamma_sample = gamma_factor * _median_gamma(u)
  kernel = product_kernel(z, u, z, u, gamma_state, gamma_sample)
  model = SVR(kernel="precomputed", C=c, epsilon=epsilon).fit(
      kernel, (target - target.mean()) / target_scale)
  support = model.support_
  as_float = lambda value: np.asarray(value, np.float32)  # noqa: E731
  return Selector(*map(as_float, (
      state_mean, components, sample_mean, sample_scale, z[support], u[support],
      model.dual_coef_[0], model.intercept_[0], gamma_state, gamma_sample, target.mean(),
      target_scale)))


def _predict(selector: Selector, episodes: Episodes, chosen: np.ndarray) -> np.ndarray:
  """[len(chosen), m] predicted gains: `predict` without compiling for each fold's size."""
  z = (np.asarray(episodes.states)[chosen] - selector.state_mean) @ selector.state_components.T
  u = (np.asarray(episodes.samples)[chosen] - selector.sample_mean) / selector.sample_scale
  e, m, bins = u.shape
  kernel = product_kernel(np.repeat(z, m, axis=0), u.reshape(-1, bins), selector.support_states,
                          selector.support_samples, selector.gamma_state, selector.gamma_sample)
  standard = kernel @ selector.coefficients + selector.intercept
  return (standard * selector.target_scale + selector.target_mean).reshape(e, m)


def _spearman(a: np.ndarray, b: np.ndarray) -> float:
  if np.ptp(a) == 0 or np.ptp(b) == 0:
    return 0.0  # a constant ranks nothing
  return float(stats.spearmanr(a, b).statistic)


def _within(predicted: np.ndarray, gains: np.ndarray) -> float:
  return float(np.mean([_spearman(p, g) for p, g in zip(predicted, gains, strict=True)]))


def check_number(num_episodes: int) -> None:
  """Raises the ValueError of `fit` for too few episodes; asked before they are generated, too."""
  if num_episodes < 8:
    raise ValueError(f"LAL's regressor needs at least 8 episodes, got {num_episodes}: raise "
                     "lal.episodes_per_size")


def fit(episodes: Episodes, *, seed: int = 0, cs: Sequence[float] = (0.1, 1.0, 10.0),
        gamma_factors: Sequence[float] = (0.3, 1.0, 3.0), epsilon: float = 0.1,
        num_folds: int = 3, held_out_ratio: float = 0.25) -> tuple[Selector, Report]:
  """Chooses the settings, measures on held-out episodes, then fits on all of them.

  Args:
    episodes: at least 8.
    seed: of the cut into folds.
    cs, gamma_factors: the grid; epsilon: SVR's tube, in standard deviations of the gain.
    num_folds: of the cross-validation on the episodes that are not held out.
    held_out_ratio: share of episodes that the report is measured on.

  Raises:
    ValueError: too few episodes.
  """
  gains = np.asarray(episodes.gains, np.float64)
  num = len(gains)
  check_number(num)
  order = np.random.default_rng(seed).permutation(num)
  held_out, train = np.split(order, [max(2, round(held_out_ratio * num))])

  def score(c, gamma_factor):
    folds = KFold(min(num_folds, len(train))).split(train)
    return np.mean([_within(_predict(_fit(episodes, train[a], c=c, gamma_factor=gamma_factor,
                                          epsilon=epsilon), episodes, train[b]), gains[train[b]])
                    for a, b in folds])

  c, gamma_factor = max(itertools.product(cs, gamma_factors), key=lambda pair: score(*pair))
  settings = {"c": c, "gamma_factor": gamma_factor, "epsilon": epsilon}
  predicted = _predict(_fit(episodes, train, **settings), episodes, held_out)
  truth = gains[held_out]
  variance = ((truth - truth.mean())**2).sum()
  selector = _fit(episodes, np.arange(num), **settings)
  return selector, Report(
      num_rows=gains.size, num_episodes=num, nonzero_share=float((gains != 0).mean()),
      gain_std=float(gains.std()), c=c, gamma_factor=gamma_factor,
      held_out_r2=1.0 - float(((truth - predicted)**2).sum() / variance) if variance else 0.0,
      held_out_spearman=_spearman(predicted.ravel(), truth.ravel()),
      held_out_spearman_within=_within(predicted, truth), num_support=len(selector.coefficients))


def save(path: str | pathlib.Path, selector: Selector, report: Report, *,
         encoder: str) -> None:
  """Writes selector and report as one .npz artifact, in one piece."""
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  meta = {"format": _FORMAT, "encoder": encoder, "report": dataclasses.asdict(report)}
  buffer = io.BytesIO()
  np.savez(buffer, meta=json.dumps(meta, sort_keys=True), **selector._asdict())
  part = path.with_name(path.name + ".part")
  part.write_bytes(buffer.getvalue())
  part.replace(path)


def load(path: str | pathlib.Path, *, dim: int, encoder: str) -> tuple[Selector, Report]:
  """Reads an artifact and checks that it fits features of width `dim`.

  Raises:
    DataError: no such file, not an artifact, or one of another encoder or width.
  """
  try:
    content = io.BytesIO(pathlib.Path(path).read_bytes())  # NumPy leaves damaged files open
    with np.load(content, allow_pickle=False) as file:
      meta = json.loads(str(file["meta"]))
      made_with, made_for, report = meta["format"], meta["encoder"], Report(**meta["report"])
      selector = Selector(**{name: file[name] for name in Selector._fields})
  except FileNotFoundError as error:
    raise DataError(f"lal.artifact: no file {path}. Make one with "
                    "python -m experiments.train_lal --config=... --output=...") from error
  except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile,
          zlib.error) as error:  # what NumPy lets through for a damaged or foreign file
    raise DataError(f"lal.artifact: {path} is not a LAL artifact ({error}). Make one with "
                    "python -m experiments.train_lal") from error
  width = selector.state_mean.shape[0] - 1
  if made_with != _FORMAT or made_for != encoder or width != dim:
    raise DataError(
        f"lal.artifact: {path} (format {made_with}) was made for encoder={made_for!r} with {width} "
        f"dimensions; this run has format {_FORMAT}, encoder={encoder!r} with {dim}. Train one on "
        "this configuration.")
  return selector, report
