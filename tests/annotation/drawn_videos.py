"""Draws short videos in which something visibly acts, and encodes them for the learner.

A coloured disc rests before a texture of its own, drifts a little, and now and then acts: it
swings from side to side, hops, or circles. Lights that flicker distract. Everything follows from
the seed and the video's number. 64 x 64 pixels, 10 frames a second, 8 to 20 s, some 30 KB each.

`encode` is a tiny stand-in for a network: where there is light and motion, coarsely, and which way
the motion's centre goes. Five rows a second.
"""

import json
import pathlib
from typing import NamedTuple

import numpy as np

from tal_jax.data.records import FrameFeatures, TimeGrid

CLASSES = ("circle", "hop", "swing")
FPS, SIZE, RADIUS = 10, 64, 7
GRID = TimeGrid(float(FPS), 2.0, 6.0)
_CELLS = 16  # pixels to a side


class Drawing(NamedTuple):
  """One video."""

  video_id: str
  label: str
  duration: float  # seconds
  segments: list[tuple[float, float]]  # seconds
  frames: np.ndarray  # [n, SIZE, SIZE, 3] uint8


def draw(seed: int, number: int) -> Drawing:
  """The video of that number; classes take turns."""
  rng = np.random.default_rng([seed, number])
  label = CLASSES[number % len(CLASSES)]
  count = int(rng.integers(80, 201))
  acting = np.zeros(count, bool)
  segments = []
  begin = int(rng.integers(5, 25))
  while True:
    length = int(rng.integers(25, 60))
    if begin + length > count - 5:
      break
    acting[begin:begin + length] = True
    segments.append((begin / FPS, (begin + length) / FPS))
    begin += length + int(rng.integers(25, 70))
  if not segments:  # the first would have been too long
    acting[10:40] = True
    segments.append((1.0, 4.0))
  return Drawing(f"drawn_{number:03d}", label, count / FPS, segments,
                 _frames(rng, label, count, acting))


def _frames(rng, label, count, acting):
  texture = np.kron(rng.uniform(40, 150, (8, 8, 3)), np.ones((8, 8, 1)))
  colour = rng.uniform(150, 255, 3)
  period = rng.uniform(8, 14)  # frames
  reach = rng.uniform(9, 15)  # pixels
  phase = 2 * np.pi * np.cumsum(acting) / period
  x_move = {"swing": np.sin(phase), "circle": np.sin(phase), "hop": 0 * phase}[label]
  y_move = {"swing": 0 * phase, "circle": 1 - np.cos(phase), "hop": -np.abs(np.sin(phase / 2)) * 2
            }[label]
  drift = np.cumsum(rng.normal(0, 0.35, (count, 2)), axis=0)
  place = np.clip(rng.uniform(24, 40, 2) + drift + reach * acting[:, None] * np.stack(
      [x_move, y_move], 1), RADIUS, SIZE - RADIUS)
  lamp = rng.integers(0, SIZE - 12, 2)
  flicker = rng.uniform(0, 60) * np.sin(np.arange(count) * rng.uniform(0.3, 2.5))
  base = texture.astype(np.uint8)
  yy, xx = np.mgrid[:SIZE, :SIZE].astype(np.float32)
  frames = np.repeat(base[None], count, 0)
  for image, (x, y), light in zip(frames, place, flicker, strict=True):
    spot = image[lamp[1]:lamp[1] + 12, lamp[0]:lamp[0] + 12]
    spot[:] = np.clip(spot + light, 0, 255)
    image[(xx - x) ** 2 + (yy - y) ** 2 <= RADIUS ** 2] = colour
  return frames


def write(drawing: Drawing, path: pathlib.Path, *, codec="libx264") -> None:
  """Writes the video; .mp4 with a key frame a second, or another container that needs a proxy."""
  import av

  options = {"crf": "29", "preset": "ultrafast", "g": str(FPS), "bf": "0"}
  with av.open(str(path), "w") as container:
    stream = container.add_stream(codec, rate=FPS, options=options if codec == "libx264" else {})
    stream.width = stream.height = SIZE
    stream.pix_fmt = "yuv420p"
    for image in drawing.frames:
      container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
    container.mux(stream.encode())


def decode(path: pathlib.Path) -> np.ndarray:
  """The brightness of each pixel: [n, SIZE, SIZE] uint8."""
  import av

  with av.open(str(path)) as container:
    planes = [frame.planes[0] for frame in container.decode(video=0)]
  return np.stack([np.frombuffer(plane, np.uint8).reshape(SIZE, -1)[:, :SIZE] for plane in planes])


def encode(frames: np.ndarray) -> FrameFeatures:
  """Rows of light [16], motion [16], and the path of the motion's centre [4]: [T, 36] float32."""
  grey = frames.astype(np.float32) / 255
  motion = np.abs(np.diff(grey, axis=0, prepend=grey[:1]))
  yy, xx = np.mgrid[:SIZE, :SIZE] / SIZE
  weight = np.maximum(motion - 0.05, 0) + 1e-4
  centre = np.stack([(weight * axis).sum((1, 2)) / weight.sum((1, 2)) for axis in (xx, yy)], 1)
  step = np.abs(np.diff(centre, axis=0, prepend=centre[:1]))
  rows = []
  for first in range(0, max(len(frames) - int(GRID.window), 0) + 1, int(GRID.stride)):
    part = slice(first, first + int(GRID.window))
    rows.append(np.concatenate([_coarse(grey[part]), 10 * _coarse(motion[part]),
                                centre[part].std(0), step[part].mean(0)]))
  return FrameFeatures(np.asarray(rows, np.float32), GRID)


def _coarse(images):
  """Mean over time and cells: [n, SIZE, SIZE] -> [16]."""
  side = SIZE // _CELLS
  return images.mean(0).reshape(side, _CELLS, side, _CELLS).mean((1, 3)).ravel()


def make(folder: pathlib.Path, *, selection: int, testing: int, seed: int = 0) -> dict:
  """Draws a campaign's files into `folder`: videos/, features/, labels.json, testing.json.

  Every tenth video is an .avi, which no browser plays.

  Returns:
    {video id: (label, segments)} of all videos: what the simulated workers see.
  """
  from tal_jax.data.features import write_features

  (folder / "videos").mkdir(parents=True)
  truths, features, database = {}, [], {}
  for number in range(selection + testing):
    drawing = draw(seed, number)
    kind = (".avi", "mpeg4") if number % 10 == 9 else (".mp4", "libx264")
    path = folder / "videos" / (drawing.video_id + kind[0])
    write(drawing, path, codec=kind[1])
    features.append((drawing.video_id, encode(decode(path))))
    truths[drawing.video_id] = (drawing.label, drawing.segments)
    database[drawing.video_id] = {
        "subset": "campaign" if number < selection else "testing", "duration": drawing.duration,
        "annotations": [{"label": drawing.label, "segment": list(s)} for s in drawing.segments]}
  write_features(folder / "features", features)
  (folder / "labels.json").write_text(json.dumps(
      {key: label for key, (label, _) in truths.items()}))
  (folder / "annotations.json").write_text(json.dumps({"database": database}))
  return truths
