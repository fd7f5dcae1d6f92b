"""Simulated annotators over real HTTP: what a page does, without a browser, and never giving up.

What one marks depends on the truth and on (name, video) alone, so that neither the order of tasks
nor a killed server changes it. A request that got no reply is sent again as it was.
"""

import hashlib
import http.client
import json
import threading
import time
import urllib.parse

import numpy as np

_AGAIN = 0.05  # seconds from a request that failed to the next


class Annotator(threading.Thread):
  """Answers whatever it is given, until the campaign is finished or `stop` is set.

  `acknowledged` lists (name, task id, submission id, segments) in the order of the replies;
  `replayed` of those how many the server had stored already, its reply having been lost.
  """

  def __init__(self, name, link, answer, *, drafts=False, until=None, done=lambda: None):
    """Args:

      name: of the worker.
      link: http://host:port/#TOKEN, or a function that gives it.
      answer: (name, task) -> segments.
      drafts: saves a draft before each answer.
      until: an event that ends it.
      done: called after each acknowledged answer.
    """
    super().__init__(name=name, daemon=True)
    self._link, self._answer, self._drafts, self._done = link, answer, drafts, done
    self.stop = until or threading.Event()
    self.acknowledged, self.refused, self.replayed = [], [], 0
    self._connection = None

  def run(self):
    try:
      self._answer_all()
    finally:
      self._close()

  def _answer_all(self):
    while not self.stop.is_set():
      found = self.ask("POST", "/api/next", {})
      if found is None or found["reason"] == "finished":
        return
      if found["task"] is None:
        self.stop.wait(min(found["retry_seconds"], _AGAIN))
        continue
      self._work(found["task"])

  def _work(self, task):
    segments = self._answer(self.name, task)
    if self._drafts:
      self.ask("PUT", f"/api/tasks/{task['id']}/draft",
               {"revision": 1, "body": json.dumps(segments)})
    # The same id for the same answer, also of an annotator that starts anew.
    submission = hashlib.sha256(f"{self.name} {task['id']}".encode()).hexdigest()[:32]
    receipt = self.ask("POST", f"/api/tasks/{task['id']}/answer",
                       {"submission_id": submission, "segments": segments})
    if receipt is not None:
      self.acknowledged.append((self.name, task["id"], submission, segments))
      self.replayed += receipt["replayed"]
      self._done()

  def ask(self, method, path, body):
    """The reply, asked for until there is one; None when stopped, or for a refusal (kept)."""
    while not self.stop.is_set():
      try:
        status, reply = self._once(method, path, body)
      except (OSError, http.client.HTTPException, ValueError):
        self._close()
        self.stop.wait(_AGAIN)
        continue
      if status == 200:
        return reply
      if status == 503:
        self.stop.wait(_AGAIN)
        continue
      self.refused.append((status, path, reply))
      return None
    return None

  def _once(self, method, path, body):
    link = urllib.parse.urlsplit(self._link() if callable(self._link) else self._link)
    if self._connection is None:
      self._connection = http.client.HTTPConnection(link.hostname, link.port, timeout=30)
    self._connection.request(method, path, json.dumps(body).encode(), {
        "Authorization": f"Bearer {link.fragment}", "Content-Type": "application/json"})
    reply = self._connection.getresponse()
    return reply.status, json.loads(reply.read())

  def _close(self):
    if self._connection is not None:
      self._connection.close()
      self._connection = None


def links(folder):
  """{name: link} of a work directory's links.txt; waits until it is there."""
  path = folder / "links.txt"
  while not path.exists():
    time.sleep(0.02)
  lines = [line.split("\t") for line in path.read_text().splitlines()]
  return {name: link for _, name, link in lines}


def near(truths, noise=0.04):
  """An `answer`: the truth of the video's label, its bounds moved by a few per cent of its length.

  Args:
    truths: {video: (label, [(start, end), ...])}.
    noise: standard deviation, in lengths.
  """
  def answer(name, task):
    label, segments = truths[task["video"]["name"]]
    if label != task["label"]:
      return []
    seed = hashlib.sha256(f"{name} {task['video']['name']}".encode()).digest()
    rng = np.random.default_rng(np.frombuffer(seed, np.uint32))
    marked = []
    for start, end in segments:
      a, b = rng.normal(0, noise * (end - start), 2)
      marked.append((round(max(start + a, 0.0), 3),
                     round(min(end + b, task["video"]["duration"]), 3)))
    return marked

  return answer
