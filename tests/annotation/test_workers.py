"""Tokens: random, hashed, expiring, revocable, one a worker."""

import base64
import hashlib

import pytest

from tal_jax.annotation import workers
from tal_jax.annotation.errors import Forbidden, InvalidAnswer, NotFound, Unauthorized
from tests.annotation import campaigns


@pytest.fixture
def made(tmp_path):
  made = campaigns.make(tmp_path / "c.db")
  yield made
  made.store.close()


def _enrol(made, name, now=0.0, **more):
  with made.store.write() as db:
    return workers.enrol(db, name, seconds=10.0, now=now, **more)


def _authenticate(made, token, now=1.0):
  with made.store.read() as db:
    return workers.authenticate(db, token, now=now)


def test_only_the_hash_is_kept(made, tmp_path):
  worker, token = _enrol(made, "ann")
  assert len(base64.urlsafe_b64decode(token + "=")) * 8 >= 128
  assert _authenticate(made, token) == worker == (worker.id, "ann", "annotator")
  row, = campaigns.select(made, "SELECT * FROM workers")
  assert row["token_sha256"] == hashlib.sha256(token.encode()).digest()
  made.store.close()
  assert all(token.encode() not in path.read_bytes() for path in tmp_path.iterdir())


def test_tokens_differ_expire_and_are_revoked(made):
  (ann, first), (bob, second) = _enrol(made, "ann"), _enrol(made, "bob", role="operator")
  assert first != second
  assert _authenticate(made, second).role == "operator"
  assert _authenticate(made, first, now=9.99) == ann
  for token, now in ((first, 10.0), ("", 1.0), (first + "x", 1.0), ("\ud800", 1.0),
                     (hashlib.sha256(first.encode()).hexdigest(), 1.0)):
    with pytest.raises(Unauthorized):
      _authenticate(made, token, now)
  with made.store.write() as db:
    workers.revoke(db, ann.id, now=2.0)
  with pytest.raises(Unauthorized):
    _authenticate(made, first)
  assert _authenticate(made, second) == bob
  with pytest.raises(NotFound), made.store.write() as db:
    workers.revoke(db, 99, now=2.0)


def test_a_new_token_voids_the_old_one(made):
  ann, first = _enrol(made, "ann")
  with made.store.write() as db:
    workers.revoke(db, ann.id, now=0.0)
  again, second = _enrol(made, "ann", now=5.0)
  assert again == ann
  assert _authenticate(made, second, now=14.0) == ann
  with pytest.raises(Unauthorized):
    _authenticate(made, first)


@pytest.mark.parametrize(("name", "role"), [("", "annotator"), ("x" * 201, "annotator"),
                                            ("cleo", "admin"), ("ann", "operator")])
def test_bad_workers(made, name, role):
  _enrol(made, "ann")
  with pytest.raises(InvalidAnswer):
    _enrol(made, name, role=role)


def test_operators(made):
  ann, bob = _enrol(made, "ann")[0], _enrol(made, "bob", role="operator")[0]
  with made.store.read() as db:
    workers.require_operator(db, bob.id)
    for worker in (ann.id, 99):
      with pytest.raises(Forbidden):
        workers.require_operator(db, worker)
