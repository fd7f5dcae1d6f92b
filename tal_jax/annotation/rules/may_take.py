"""Which tasks a worker may still take, as conditions of SQL on a task `t` and a worker `:worker`.

A worker answers a task once, unless they took the answer back, and never gets a video again that
they gave back. Whoever answered one class of a video may get another of its classes. A video
without a playable file waits. A video that the worker put off comes after all others.
"""

from tal_jax.annotation.rules.counting import STANDS

_READY = ("t.video_id NOT IN (SELECT video_id FROM preparing "
          "UNION SELECT video_id FROM excluded)")
UNANSWERED = (
    f"{_READY} AND t.id NOT IN (SELECT a.task_id FROM assignments a WHERE a.worker_id = :worker "
    f"AND {STANDS})")
MAY_TAKE = (
    f"{UNANSWERED} AND t.video_id NOT IN (SELECT o.video_id FROM leases l "
    "JOIN tasks o ON o.id = l.task_id "
    "WHERE l.worker_id = :worker AND l.state = 'released')")
UNSEEN = (
    f"{_READY} AND t.video_id NOT IN (SELECT o.video_id FROM leases l "
    "JOIN tasks o ON o.id = l.task_id WHERE l.worker_id = :worker)")
# When the worker last put the video off; NULL: never.
PUT_OFF = (
    "(SELECT MAX(l.id) FROM later p JOIN leases l ON l.id = p.lease_id "
    "JOIN tasks o ON o.id = l.task_id WHERE l.worker_id = :worker AND o.video_id = t.video_id)")
