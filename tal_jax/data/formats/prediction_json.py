"""Predictions in ActivityNet's JSON: the registry's door to tal_jax/data/predictions.py."""

from __future__ import annotations

import pathlib

from tal_jax.data.formats.format import Format
from tal_jax.data.formats.proposal_json import detect_results
from tal_jax.data.predictions import PredictionFile, read_predictions, write_predictions


def read(path: pathlib.Path) -> tuple[PredictionFile, tuple[()]]:
  """Predictions; the first fault is a DataError."""
  return read_predictions(path), ()


def write(path: pathlib.Path, file: PredictionFile) -> None:
  """Writes predictions, grouped by video."""
  write_predictions(path, file.predictions, file.video_ids, file.classes)


FORMATS = (Format("activitynet", "predictions",
                  "JSON {results: {id: [{label, score, segment}]}}, seconds", detect_results, read,
                  write=write, fields=("results", "label", "score", "segment")),)
