"""Agreement of each worker with the others."""

import math

from tal_jax.annotation.answers import submit
from tal_jax.annotation.leases import next_task
from tal_jax.annotation.quality import worker_quality
from tests.annotation import campaigns


def test_hand_values(tmp_path):
  made = campaigns.make(tmp_path / "c.db", annotators=3, max_annotators=3)
  campaigns.ask(made, videos=("v0", "v1"))
  assert worker_quality(made) == {}
  ann, bob, cleo, dan = (campaigns.enrol(made, name) for name in ("ann", "bob", "cleo", "dan"))
  for worker, segments in ((ann, [(0, 10)]), (bob, [(0, 8)]), (cleo, [(50, 60)])):
    submit(made, worker, next_task(made, worker).task_id, f"{worker}", segments)
  submit(made, dan, next_task(made, dan).task_id, "alone", [])
  quality = worker_quality(made)
  assert quality[ann] == quality[bob] == (1, 1, 0.5, 0.4)
  assert quality[cleo] == (1, 1, 0.0, 0.0)
  assert quality[dan][:2] == (1, 0) and math.isnan(quality[dan].f1)
  made.store.close()
