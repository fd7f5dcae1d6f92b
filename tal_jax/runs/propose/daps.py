"""DAPs for experiments.propose: training windows, anchors, epochs, and the state of a killed run.

    daps_state.msgpack     what an epoch left, written after each; the same command goes on from it
    daps.npz               the trained network

Windows of training are those of inference, and `random_windows` more per video, of 0.15 to 1 times
the longest receptive field (or of the video, if that is shorter), drawn once from the seed.
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
from collections.abc import Callable, Sequence

import jax
import numpy as np
from flax import serialization
from ml_collections import ConfigDict

from tal_jax.data.assemble import RunningMoments
from tal_jax.data.records import ScoredProposals
from tal_jax.errors import DataError
from tal_jax.proposals.daps import (
  anchors as daps_anchors,
  inference as daps_inference,
  training as daps_training,
  windows as daps_windows,
)
from tal_jax.proposals.daps.weights import DapsModel, read_model, write_model
from tal_jax.runs.propose import data as propose_data
from tal_jax.runs.propose.data import ProposalData
from tal_jax.runs.reporter import Reporter

REGRESS_TO = daps_training.REGRESS_TO
_RANDOM_LENGTHS = (0.15, 1.0)  # of the longest window, of random ones
# What may change when a run goes on.
_NOT_OF_TRAINING = ("epochs", "nms_threshold", "soft_nms_sigma", "weights")
_WINDOWS, _TRAINING = range(2)  # independent random streams of one seed


def proposer(config: ConfigDict, data: ProposalData, workdir: pathlib.Path,
             report: Reporter) -> Callable[[str], ScoredProposals]:
  """Reads the network, or trains it; its proposals by video."""
  options = config.daps
  if options.weights:
    model = read_model(options.weights)
    if not model.receptive_fields:  # the published files do not say
      model = model._replace(receptive_fields=tuple(options.receptive_fields),
                             num_chunks=options.num_chunks)
  elif data.training:
    model = train(config, data, workdir, report)
  else:
    raise DataError("this source has no videos to train DAPs on: name a trained network with "
                    "--config.daps.weights=FILE, or take a source with a split, e.g. "
                    "configs/propose.py:files")

  def propose(video_id: str) -> ScoredProposals:
    features = data.features(video_id)
    chosen = model
    if options.receptive_frames:
      chosen = model._replace(receptive_fields=(options.receptive_frames / features.grid.fps,))
    return daps_inference.propose(
        chosen, features, data.annotations.videos[video_id].duration, video_id=video_id,
        stride=options.stride, row_step=options.row_step, nms_threshold=options.nms_threshold,
        soft_nms_sigma=options.soft_nms_sigma, num_proposals=config.num_proposals)

  return propose


def train(config: ConfigDict, data: ProposalData, workdir: pathlib.Path,
          report: Reporter) -> DapsModel:
  """Trains on `data.training`, choosing the epoch on `data.validation`; writes daps.npz."""
  propose_data.check_truths(data)
  options = config.daps
  settings = daps_training.Settings(**{name: options[name] for name
                                       in daps_training.Settings._fields})
  moments = RunningMoments()
  for i, video_id in enumerate(data.training):
    moments.add(daps_windows.usable_rows(data.features(video_id), video_id,
                                         row_step=options.row_step)[0])
    report.working("rows of video", i + 1, len(data.training))
  like = DapsModel({}, tuple(options.receptive_fields), options.num_chunks,
                   np.asarray(moments.mean, np.float32), moments.scale().astype(np.float32))
  training, seen = windows_of(config, data, data.training, like, report)
  validation, _ = windows_of(config, data, data.validation, like, report)
  anchors = daps_anchors.fit(seen, num_anchors=options.num_anchors, seed=config.seed)
  key = jax.random.fold_in(jax.random.key(config.seed), _TRAINING)
  state = daps_training.start(key, anchors, dim=training.chunks.shape[-1], width=options.width,
                              settings=settings)
  file = workdir / "daps_state.msgpack"
  digest = _digest(config, training, validation, anchors)
  state = _restore(file, state, digest)
  report.expect_more(max(0, options.epochs - state.epoch))
  while state.epoch < options.epochs:
    state = daps_training.run_epoch(key, state, anchors, training, validation,
                                    batch_size=options.batch_size, settings=settings)
    loss, validation_loss = state.history[-1]
    if not np.isfinite(loss):
      raise DataError(f"DAPs: the loss of epoch {state.epoch} is {loss}: lower "
                      f"daps.learning_rate, which is {options.learning_rate:g}")
    _save(file, state, digest)
    report.step(f"DAPs, loss {loss:.4f}, on validation {validation_loss:.4f}")
  model = like._replace(params=daps_training.final_params(state, settings), anchors=anchors)
  write_model(workdir / "daps.npz", model)
  return model


def windows_of(config: ConfigDict, data: ProposalData, ids: Sequence[str], like: DapsModel,
               report: Reporter) -> tuple[daps_training.Windows, list[np.ndarray]]:
  """The windows of some videos, read as `like` reads them, and the locations of each's truths."""
  options, pooled, seen = config.daps, [], []
  for i, video_id in enumerate(ids):
    video = data.annotations.videos[video_id]
    features = data.features(video_id)
    rows, index = daps_windows.usable_rows(features, video_id, row_step=options.row_step)
    rows = daps_windows.standardise(rows, like.mean, like.scale)
    spans = np.concatenate([
        daps_windows.windows(video.duration, like.receptive_fields, stride=options.stride),
        _random_windows(np.random.default_rng([config.seed, _WINDOWS, i]), video.duration,
                        max(like.receptive_fields), options.random_windows)])
    pooled.append(daps_windows.chunks(rows, index, features.grid, spans,
                                      num_chunks=like.num_chunks))
    seen += daps_anchors.locations(video.segments, spans)
    report.working("windows of video", i + 1, len(ids))
  return daps_training.Windows(np.concatenate(pooled), *daps_training.pad_truths(seen)), seen


def _random_windows(rng: np.random.Generator, duration: float, longest: float,
                    count: int) -> np.ndarray:
  length = min(longest, duration) * rng.uniform(*_RANDOM_LENGTHS, size=count)
  start = rng.random(count) * (duration - length)
  return np.stack([start, start + length], axis=1)


def _digest(config: ConfigDict, *arrays) -> str:
  """Of what training depends on, save the number of epochs, which may be raised later."""
  options = {k: v for k, v in config.daps.to_dict().items() if k not in _NOT_OF_TRAINING}
  digest = hashlib.sha256(json.dumps([config.seed, options], sort_keys=True).encode())
  for leaf in jax.tree.leaves(arrays):
    digest.update(f"{leaf.dtype}{leaf.shape}".encode())
    digest.update(np.ascontiguousarray(leaf).tobytes())
  return digest.hexdigest()


def _save(file: pathlib.Path, state: daps_training.TrainState, digest: str) -> None:
  part = file.with_name(file.name + ".part")
  part.write_bytes(serialization.msgpack_serialize(
      {"digest": digest, "state": serialization.to_state_dict(state)}))
  os.replace(part, file)


def _restore(file: pathlib.Path, state: daps_training.TrainState,
             digest: str) -> daps_training.TrainState:
  """The state in the file, or `state` where there is none.

  Raises:
    DataError: the file is damaged, or of other data or settings.
  """
  if not file.exists():
    return state
  try:
    saved = serialization.msgpack_restore(file.read_bytes())
    found = saved["digest"]
  except Exception as error:  # msgpack raises many kinds for damaged files
    raise DataError(f"{file} is damaged ({error or type(error).__name__}): delete it, and training "
                    "begins again") from error
  if found != digest:
    raise DataError(f"{file} belongs to a training on other data or with other settings: give "
                    "another --workdir, or delete it")
  return serialization.from_state_dict(state, saved["state"])
