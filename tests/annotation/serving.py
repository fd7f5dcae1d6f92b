"""The real server on a free port of 127.0.0.1, and small campaigns for it, for tests."""

import contextlib
import pathlib
import time

import numpy as np

from tal_jax.annotation import campaign, store, workers
from tal_jax.annotation.web import server

LABELS = ("jump", "run")
WIDTH, HEIGHT, FPS, SECONDS = 320, 180, 25, 8


@contextlib.contextmanager
def running(app):
  """Serves the application until the end of the block; gives its URL without a last slash."""
  with server.running(app) as base_url:
    yield base_url


def sample_campaign(folder, *, video_path=None, num_videos=3, annotators=1, clock=time.time,
                    **policy):
  """A campaign with one round open: `jump` in each of the videos sample-0, sample-1, ...

  Args:
    folder: gets campaign.sqlite and, unless `video_path` names one, a drawn video.
    video_path: plays as every video.
    num_videos: of the campaign.
    annotators: answers wanted of a task, at first and at most.
    clock: of the campaign.
    **policy: more of campaign.Policy.

  Returns:
    The campaign, whose store the caller closes, and {"annotator": token, "operator": token}.
  """
  folder = pathlib.Path(folder)
  if video_path is None:
    video_path = draw_video(folder / "drawn.mp4")
  duration, fps, frames, width, height = _probe(video_path)
  made = campaign.Campaign(
      store.Store(folder / "campaign.sqlite"),
      campaign.Policy(**{"annotators": annotators, "max_annotators": annotators} | policy), clock)
  campaign.add_classes(made, zip(LABELS, ("Both feet leave the ground; from take-off to landing.",
                                          "Faster than a walk."), strict=True))
  names = [f"sample-{i}" for i in range(num_videos)]
  campaign.add_videos(made, [campaign.Video(
      name, str(video_path), duration, fps, media_path=str(video_path), width=width, height=height,
      num_frames=frames) for name in names])
  campaign.open_round(made, 0, [campaign.Ask(name, LABELS[0], (1.0, 2.0)) for name in names])
  tokens = {role: enrol(made, f"{role} one", role) for role in workers.ROLES}
  return made, tokens


def enrol(made, name, role="annotator", seconds=86400.0):
  """The token of a new worker."""
  with made.store.write() as db:
    return workers.enrol(db, name, role=role, seconds=seconds, now=made.clock())[1]


def draw_video(path):
  """A square that jumps (up and down) in seconds 2 to 3 and 5 to 6, else stands; H.264 in MP4."""
  import av

  with av.open(str(path), "w", options={"movflags": "faststart"}) as file:
    stream = file.add_stream("libx264", rate=FPS, options={"g": "12", "preset": "ultrafast"})
    stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    for i in range(FPS * SECONDS):
      image = np.full((HEIGHT, WIDTH, 3), (225, 232, 240), np.uint8)
      image[HEIGHT - 20:] = (120, 140, 110)
      seconds = i / FPS
      up = 80 * np.sin(np.pi * (seconds % 1)) if int(seconds) in (2, 5) else 0
      top = int(HEIGHT - 60 - up)
      image[top:top + 40, 140:180] = (40, 70, 160)
      for packet in stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")):
        file.mux(packet)
    for packet in stream.encode():
      file.mux(packet)
  return pathlib.Path(path)


def _probe(path):
  import av

  with av.open(str(path)) as file:
    stream = file.streams.video[0]
    fps = float(stream.average_rate)
    frames = stream.frames
    return frames / fps, fps, frames, stream.width, stream.height
