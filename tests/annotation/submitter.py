"""A process that answers tasks as fast as it can, to be killed: one thread a worker.

    python -m tests.annotation.submitter [--visits] DATABASE WORKER_ID...

After each answer that was acknowledged it prints "worker task", with --visits one line a visit, of
its first task. It ends when there is no task.
"""

import os
import sys
import threading
import time

import numpy as np

from tal_jax.annotation import campaign, store
from tal_jax.annotation.rules.answers import Draft, save_draft, submit, submit_all
from tal_jax.annotation.rules.leases import next_task, next_visit

POLICY = campaign.Policy(annotators=3, max_annotators=3, min_agreement=0.0)
COMMENT = "from a process that may die"


def answer(worker, task):
  """What the worker marks: the same each time, and near what the others mark."""
  rng = np.random.default_rng([worker, task])
  return [(float(s), float(s + 8)) for s in 20 * np.arange(task % 4) + rng.uniform(0, 2, task % 4)]


def submission_id(worker, task):
  return f"worker {worker} task {task}"


def print_acknowledged(worker, task):
  os.write(sys.stdout.fileno(), f"{worker} {task}\n".encode())  # one write: never torn


def work(running, worker, acknowledge=print_acknowledged):
  while (lease := next_task(running, worker)) is not None:
    task = lease.task_id
    save_draft(running, worker, task, Draft(1, "{}"))
    submit(running, worker, task, submission_id(worker, task), answer(worker, task), COMMENT)
    acknowledge(worker, task)


def visit(running, worker, acknowledge=print_acknowledged):
  """All classes of a video in one submission."""
  while (found := next_visit(running, worker)) is not None:
    task = found.task_ids[0]
    submit_all(running, worker, {t: answer(worker, t) for t in found.task_ids},
               submission_id(worker, task), COMMENT)
    acknowledge(worker, task)


def main(path, *workers):
  at = work
  if path == "--visits":
    at, path, *workers = visit, *workers
  with store.Store(path) as opened:
    running = campaign.Campaign(opened, POLICY, time.time)
    threads = [threading.Thread(target=at, args=(running, int(w))) for w in workers]
    for thread in threads:
      thread.start()
    for thread in threads:
      thread.join()


if __name__ == "__main__":
  main(*sys.argv[1:])
