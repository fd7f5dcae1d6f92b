"""The tables of a campaign, and how an older database becomes a newer one.

`PRAGMA user_version` counts the migrations that a database has had. A migration that was released
is never edited: a change of the schema is one more migration at the end.

Units: times of the video are seconds from its start; `*_at` are seconds since the epoch; money is
whole cents. A JSON column says what it holds.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from tal_jax.errors import DataError

_CORE = (
    # The browser plays media_path; width, height and num_frames are 0 where unknown.
    """CREATE TABLE videos (
      id INTEGER PRIMARY KEY,
      name TEXT NOT NULL UNIQUE,
      path TEXT NOT NULL,
      media_path TEXT NOT NULL,
      duration REAL NOT NULL CHECK (duration > 0),
      fps REAL NOT NULL CHECK (fps > 0),
      width INTEGER NOT NULL DEFAULT 0 CHECK (width >= 0),
      height INTEGER NOT NULL DEFAULT 0 CHECK (height >= 0),
      num_frames INTEGER NOT NULL DEFAULT 0 CHECK (num_frames >= 0),
      state TEXT NOT NULL DEFAULT 'unlabelled'
        CHECK (state IN ('unlabelled', 'asked', 'labelled'))) STRICT""",
    """CREATE TABLE classes (
      id INTEGER PRIMARY KEY,
      name TEXT NOT NULL UNIQUE,
      instructions TEXT NOT NULL) STRICT""",
    """CREATE TABLE rounds (
      id INTEGER PRIMARY KEY CHECK (id >= 0),
      state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'complete', 'trained')),
      opened_at REAL NOT NULL) STRICT""",
    # A gold task, whose answer is known, belongs to no round and stays open for ever.
    """CREATE TABLE tasks (
      id INTEGER PRIMARY KEY,
      round_id INTEGER REFERENCES rounds (id),
      is_gold INTEGER NOT NULL DEFAULT 0 CHECK (is_gold IN (0, 1)),
      video_id INTEGER NOT NULL REFERENCES videos (id),
      class_id INTEGER NOT NULL REFERENCES classes (id),
      hint_start REAL,
      hint_end REAL,
      state TEXT NOT NULL DEFAULT 'open'
        CHECK (state IN ('open', 'leased', 'submitted', 'agreed', 'disputed', 'adjudicated')),
      wanted INTEGER NOT NULL CHECK (wanted >= 1),
      agreement REAL,
      UNIQUE (round_id, video_id, class_id),
      CHECK (is_gold = (round_id IS NULL)),
      CHECK (NOT is_gold OR state = 'open'),
      CHECK ((hint_start IS NULL) = (hint_end IS NULL))) STRICT""",
    "CREATE INDEX tasks_of_video ON tasks (video_id)",
    "CREATE INDEX tasks_by_state ON tasks (is_gold, state)",
    "CREATE UNIQUE INDEX one_gold_task ON tasks (video_id, class_id) WHERE is_gold",
    """CREATE TABLE workers (
      id INTEGER PRIMARY KEY,
      name TEXT NOT NULL UNIQUE,
      role TEXT NOT NULL CHECK (role IN ('annotator', 'operator')),
      token_sha256 BLOB NOT NULL UNIQUE CHECK (length(token_sha256) = 32),
      token_expires_at REAL NOT NULL,
      token_revoked_at REAL) STRICT""",
    """CREATE TABLE leases (
      id INTEGER PRIMARY KEY,
      task_id INTEGER NOT NULL REFERENCES tasks (id),
      worker_id INTEGER NOT NULL REFERENCES workers (id),
      state TEXT NOT NULL DEFAULT 'held'
        CHECK (state IN ('held', 'released', 'expired', 'submitted')),
      granted_at REAL NOT NULL,
      expires_at REAL NOT NULL) STRICT""",
    "CREATE INDEX leases_of_task ON leases (task_id, state)",
    "CREATE INDEX leases_of_worker ON leases (worker_id, task_id)",
    "CREATE UNIQUE INDEX one_held_lease_a_worker ON leases (worker_id) WHERE state = 'held'",
    """CREATE TABLE assignments (
      id INTEGER PRIMARY KEY,
      submission_id TEXT NOT NULL UNIQUE,
      task_id INTEGER NOT NULL REFERENCES tasks (id),
      worker_id INTEGER NOT NULL REFERENCES workers (id),
      lease_id INTEGER NOT NULL UNIQUE REFERENCES leases (id),
      comment TEXT NOT NULL,
      submitted_at REAL NOT NULL,
      UNIQUE (task_id, worker_id)) STRICT""",
    """CREATE TABLE drafts (
      task_id INTEGER NOT NULL REFERENCES tasks (id),
      worker_id INTEGER NOT NULL REFERENCES workers (id),
      revision INTEGER NOT NULL,
      body TEXT NOT NULL,
      saved_at REAL NOT NULL,
      PRIMARY KEY (task_id, worker_id)) STRICT""",
    # One worker's answer where assignment_id is set, else the final answer of the task.
    """CREATE TABLE segments (
      id INTEGER PRIMARY KEY,
      task_id INTEGER NOT NULL REFERENCES tasks (id),
      assignment_id INTEGER REFERENCES assignments (id),
      start REAL NOT NULL CHECK (start >= 0),
      "end" REAL NOT NULL,
      source TEXT NOT NULL CHECK (source IN ('worker', 'consensus', 'adjudication')),
      agreement REAL CHECK (agreement BETWEEN 0 AND 1),
      support REAL CHECK (support BETWEEN 0 AND 1),
      CHECK (start < "end"),
      CHECK ((source = 'worker') = (assignment_id IS NOT NULL))) STRICT""",
    "CREATE INDEX segments_of_task ON segments (task_id)",
    "CREATE INDEX segments_of_assignment ON segments (assignment_id)",
    """CREATE TABLE events (
      id INTEGER PRIMARY KEY,
      at REAL NOT NULL,
      kind TEXT NOT NULL,
      subject_id INTEGER NOT NULL,
      worker_id INTEGER REFERENCES workers (id),
      detail TEXT NOT NULL) STRICT""",
    *(f"""CREATE TRIGGER {table}_no_{verb} BEFORE {verb} ON {table}
      BEGIN SELECT RAISE(ABORT, '{table} are append-only'); END"""
      for table in ("events", "assignments") for verb in ("UPDATE", "DELETE")),
    *(f"""CREATE TRIGGER segments_no_{verb} BEFORE {verb} ON segments
      WHEN OLD.assignment_id IS NOT NULL
      BEGIN SELECT RAISE(ABORT, 'answers of workers are append-only'); END"""
      for verb in ("UPDATE", "DELETE")),
)

_QUALITY = (
    # What the answer to a gold task is: segments is JSON [[start, end], ...].
    """CREATE TABLE gold (
      task_id INTEGER PRIMARY KEY REFERENCES tasks (id),
      segments TEXT NOT NULL) STRICT""",
    # Agreement of an answer: with the gold answer, or mean over the `others` who answered the task.
    """CREATE TABLE scores (
      assignment_id INTEGER PRIMARY KEY REFERENCES assignments (id),
      worker_id INTEGER NOT NULL REFERENCES workers (id),
      is_gold INTEGER NOT NULL CHECK (is_gold IN (0, 1)),
      others INTEGER NOT NULL CHECK (others >= 0),
      f1 REAL CHECK (f1 BETWEEN 0 AND 1),
      tiou REAL CHECK (tiou BETWEEN 0 AND 1),
      CHECK ((others = 0) = (f1 IS NULL)),
      CHECK ((f1 IS NULL) = (tiou IS NULL))) STRICT""",
    "CREATE INDEX scores_of_worker ON scores (worker_id, is_gold, others, f1)",
)

_MONEY = (
    "CREATE TABLE budget (id INTEGER PRIMARY KEY CHECK (id = 1), cents INTEGER NOT NULL) STRICT",
    # A reservation; what of it was paid is in payouts, one row a payment.
    """CREATE TABLE payments (
      id INTEGER PRIMARY KEY,
      request_token TEXT NOT NULL UNIQUE CHECK (length(request_token) BETWEEN 1 AND 64),
      cents INTEGER NOT NULL CHECK (cents > 0),
      state TEXT NOT NULL DEFAULT 'reserved' CHECK (state IN ('reserved', 'paid', 'returned')),
      at REAL NOT NULL) STRICT""",
    """CREATE TABLE payouts (
      payment_id INTEGER NOT NULL REFERENCES payments (id),
      part TEXT NOT NULL,
      cents INTEGER NOT NULL CHECK (cents > 0),
      at REAL NOT NULL,
      PRIMARY KEY (payment_id, part)) STRICT""",
    """CREATE TABLE hits (
      id INTEGER PRIMARY KEY,
      task_id INTEGER NOT NULL REFERENCES tasks (id),
      hit_type TEXT NOT NULL,
      hit_id TEXT UNIQUE,
      request_token TEXT NOT NULL UNIQUE CHECK (length(request_token) BETWEEN 1 AND 64),
      state TEXT NOT NULL DEFAULT 'planned'
        CHECK (state IN ('planned', 'published', 'expired', 'closed')),
      reward_cents INTEGER NOT NULL CHECK (reward_cents >= 0),
      assignments_asked INTEGER NOT NULL CHECK (assignments_asked >= 1),
      deadline_at REAL NOT NULL,
      created_at REAL NOT NULL) STRICT""",
    "CREATE INDEX hits_of_task ON hits (task_id)",
    # Assignments of a crowd: assignment_key is "mturk:<AssignmentId>", hit a row of hits, answer_id
    # the answer that is paid with it.
    """CREATE TABLE crowd (
      assignment_key TEXT PRIMARY KEY NOT NULL,
      hit INTEGER NOT NULL REFERENCES hits (id),
      worker_id INTEGER NOT NULL REFERENCES workers (id),
      answer_id INTEGER UNIQUE REFERENCES assignments (id),
      state TEXT NOT NULL CHECK (state IN ('accepted', 'submitted', 'approved', 'rejected')),
      at REAL NOT NULL) STRICT""",
    "CREATE INDEX crowd_of_hit ON crowd (hit)",
    "CREATE INDEX crowd_of_worker ON crowd (worker_id)",
)

_LEARNER = (
    # The model's detections: body is JSON [[start, end, score], ...].
    """CREATE TABLE suggestions (
      video_id INTEGER NOT NULL REFERENCES videos (id),
      class_id INTEGER NOT NULL REFERENCES classes (id),
      body TEXT NOT NULL,
      round_id INTEGER NOT NULL REFERENCES rounds (id),
      PRIMARY KEY (video_id, class_id)) STRICT""",
    # The learning curve: the model after the round was trained; NULL without a testing set.
    """CREATE TABLE results (
      round_id INTEGER PRIMARY KEY REFERENCES rounds (id),
      num_labeled INTEGER NOT NULL,
      num_instances INTEGER NOT NULL,
      map REAL,
      attention_ap REAL,
      seconds REAL NOT NULL,
      at REAL NOT NULL) STRICT""",
)

_SERVER = ("CREATE TABLE secrets (name TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL) STRICT",)

# Workers whom an operator let work again: answers up to that one do not stop them any more.
_REINSTATED = (
    """CREATE TABLE reinstated (
      worker_id INTEGER PRIMARY KEY REFERENCES workers (id),
      assignment_id INTEGER NOT NULL) STRICT""",)

_ROUNDS = (
    # Videos that no browser can play yet: their proxy is to be made; why it is late, if known.
    """CREATE TABLE preparing (
      video_id INTEGER PRIMARY KEY REFERENCES videos (id),
      problem TEXT NOT NULL DEFAULT '') STRICT""",
    # Videos that the learner expects to ask for next, best first.
    """CREATE TABLE upcoming (
      place INTEGER PRIMARY KEY,
      video_id INTEGER NOT NULL UNIQUE REFERENCES videos (id)) STRICT""",
    # Rounds whose answers the learner has taken, and which videos were new to it in each.
    """CREATE TABLE closings (
      round_id INTEGER PRIMARY KEY REFERENCES rounds (id),
      at REAL NOT NULL) STRICT""",
    """CREATE TABLE learnt (
      video_id INTEGER PRIMARY KEY REFERENCES videos (id),
      round_id INTEGER NOT NULL REFERENCES closings (round_id)) STRICT""",
    "CREATE INDEX learnt_in_round ON learnt (round_id)",
    "INSERT INTO closings SELECT id, opened_at FROM rounds WHERE state = 'trained'",
    "INSERT INTO learnt SELECT DISTINCT video_id, round_id FROM tasks "
    "WHERE round_id IN (SELECT round_id FROM closings)",
    # How the learner's process is; one row. failures: in a row; error: the last one, a line.
    """CREATE TABLE learner_process (
      id INTEGER PRIMARY KEY CHECK (id = 1),
      state TEXT NOT NULL CHECK (state IN ('running', 'restarting', 'down', 'finished')),
      failures INTEGER NOT NULL,
      error TEXT NOT NULL,
      at REAL NOT NULL) STRICT""",
)

_VISITS = (
    # A worker may hold leases on several tasks, but of one video only.
    "DROP INDEX one_held_lease_a_worker",
    "CREATE UNIQUE INDEX one_held_lease_a_task ON leases (worker_id, task_id) WHERE state = 'held'",
    """CREATE TRIGGER one_held_video_a_worker BEFORE INSERT ON leases
      WHEN NEW.state = 'held' AND EXISTS (
        SELECT 1 FROM leases l JOIN tasks t ON t.id = l.task_id
        WHERE l.worker_id = NEW.worker_id AND l.state = 'held'
        AND t.video_id != (SELECT video_id FROM tasks WHERE id = NEW.task_id))
      BEGIN SELECT RAISE(ABORT, 'a worker holds one video at a time'); END""",
    # Answers that came in one submission, where it answered several tasks.
    """CREATE TABLE together (
      assignment_id INTEGER PRIMARY KEY REFERENCES assignments (id),
      submission_id TEXT NOT NULL) STRICT""",
    "CREATE INDEX together_by_submission ON together (submission_id)",
    # A draft is of a visit, and kept at the first task of the video.
    "UPDATE OR IGNORE drafts SET task_id = (SELECT MIN(o.id) FROM tasks o "
    "JOIN tasks t ON o.video_id = t.video_id WHERE t.id = drafts.task_id)",
    # Who may answer; one row. named_only: nobody but the annotators who have a link.
    """CREATE TABLE audience (
      id INTEGER PRIMARY KEY CHECK (id = 1),
      named_only INTEGER NOT NULL CHECK (named_only IN (0, 1))) STRICT""",
)

# SQLite changes a CHECK only in the text of its schema; see "ALTER TABLE" in its documentation.
_EXCLUDED = (
    "PRAGMA writable_schema = ON",
    *(f"UPDATE sqlite_schema SET sql = replace(sql, '''{last}'')', '''{last}'', ''excluded'')') "
      f"WHERE type = 'table' AND name = '{table}'"
      for table, last in (("tasks", "adjudicated"), ("videos", "labelled"))),
    "PRAGMA writable_schema = RESET",
    # Videos of which nothing is to be learnt, and who said so; worker_id: the operator.
    """CREATE TABLE excluded (
      video_id INTEGER PRIMARY KEY REFERENCES videos (id),
      reason TEXT NOT NULL,
      source TEXT NOT NULL CHECK (source IN ('operator', 'annotators', 'program')),
      worker_id INTEGER REFERENCES workers (id),
      at REAL NOT NULL) STRICT""",
)

_DECISIONS = (
    *_EXCLUDED,
    # Answers that say that the video cannot be judged.
    """CREATE TABLE unusable (
      assignment_id INTEGER PRIMARY KEY REFERENCES assignments (id),
      reason TEXT NOT NULL) STRICT""",
    # Later versions of answers; the last one counts. segments is JSON [[start, end], ...]; unusable
    # a reason, or ''.
    """CREATE TABLE versions (
      id INTEGER PRIMARY KEY,
      assignment_id INTEGER NOT NULL REFERENCES assignments (id),
      submission_id TEXT NOT NULL,
      segments TEXT NOT NULL,
      unusable TEXT NOT NULL,
      comment TEXT NOT NULL,
      at REAL NOT NULL,
      UNIQUE (assignment_id, submission_id)) STRICT""",
    "CREATE INDEX versions_by_submission ON versions (submission_id)",
    *(f"""CREATE TRIGGER {table}_no_{verb} BEFORE {verb} ON {table}
      BEGIN SELECT RAISE(ABORT, 'answers of workers are append-only'); END"""
      for table in ("unusable", "versions") for verb in ("UPDATE", "DELETE")),
    # Answers that their author took back, until they answer again.
    """CREATE TABLE taken_back (
      assignment_id INTEGER PRIMARY KEY REFERENCES assignments (id)) STRICT""",
    # Workers whose answers do not count: who is stopped now, and whom an operator left out.
    "CREATE TABLE stopped (worker_id INTEGER PRIMARY KEY REFERENCES workers (id)) STRICT",
    "CREATE TABLE left_out (worker_id INTEGER PRIMARY KEY REFERENCES workers (id)) STRICT",
    # Answers that an operator asked for when a task was given back to the annotators.
    """CREATE TABLE asked_again (
      task_id INTEGER PRIMARY KEY REFERENCES tasks (id),
      wanted INTEGER NOT NULL CHECK (wanted >= 1)) STRICT""",
    # Why a video was given back.
    """CREATE TABLE skips (
      lease_id INTEGER PRIMARY KEY REFERENCES leases (id),
      reason TEXT NOT NULL,
      comment TEXT NOT NULL) STRICT""",
    # How many videos the campaign is to label; one row.
    """CREATE TABLE plan (
      id INTEGER PRIMARY KEY CHECK (id = 1),
      videos INTEGER NOT NULL CHECK (videos >= 0)) STRICT""",
    # Leases on videos that their worker put off.
    "CREATE TABLE later (lease_id INTEGER PRIMARY KEY REFERENCES leases (id)) STRICT",
    # Scores were means over the others; now they are of the final answer (`quality`).
    "UPDATE scores SET others = 0, f1 = NULL, tiou = NULL WHERE NOT is_gold",
)

_AHEAD = (
    # What would be asked of the videos in `upcoming`, and may be while the learner trains.
    """CREATE TABLE upcoming_tasks (
      place INTEGER PRIMARY KEY,
      video_id INTEGER NOT NULL REFERENCES videos (id),
      class_id INTEGER NOT NULL REFERENCES classes (id),
      hint_start REAL,
      hint_end REAL) STRICT""",
    # Videos that were asked for while the learner trained the round before theirs.
    """CREATE TABLE early (
      video_id INTEGER PRIMARY KEY REFERENCES videos (id),
      round_id INTEGER NOT NULL REFERENCES rounds (id)) STRICT""",
    # A round that has such videos, until the learner has chosen the rest of it.
    "CREATE TABLE begun (round_id INTEGER PRIMARY KEY REFERENCES rounds (id)) STRICT",
    # Of tasks on which annotators agree: how many answers that was merged from.
    """CREATE TABLE merged (
      task_id INTEGER PRIMARY KEY REFERENCES tasks (id),
      answers INTEGER NOT NULL CHECK (answers >= 1)) STRICT""",
)

MIGRATIONS: tuple[Sequence[str], ...] = (
    _CORE, _QUALITY + _MONEY + _LEARNER + _SERVER, _REINSTATED, _ROUNDS, _VISITS, _DECISIONS,
    _AHEAD)


def version(db: sqlite3.Connection) -> int:
  return db.execute("PRAGMA user_version").fetchone()[0]


def migrate(db: sqlite3.Connection, migrations: Sequence[Sequence[str]] = MIGRATIONS) -> None:
  """Brings a database up to date, each migration all or nothing.

  Args:
    db: a connection in autocommit mode (`isolation_level=None`).
    migrations: lists of statements, oldest first.

  Raises:
    DataError: the database was written by a newer version of the program.
  """
  while True:
    db.execute("BEGIN IMMEDIATE")  # the version is read inside: two processes may start at once
    try:
      done = version(db)
      if done > len(migrations):
        raise DataError(f"the campaign's database has schema {done}, this program knows only "
                        f"{len(migrations)}: use the newer version of tal_jax that wrote it")
      if done < len(migrations):
        for statement in migrations[done]:
          db.execute(statement)
        db.execute(f"PRAGMA user_version = {done + 1}")
      db.execute("COMMIT")
    except BaseException:
      if db.in_transaction:
        db.execute("ROLLBACK")
      raise
    if done >= len(migrations) - 1:
      return
