"""Sizes that arrays are padded to."""

from tal_jax.sizes import bucket


def test_bucket():
  assert [bucket(n) for n in (0, 64, 65, 200, 1000)] == [64, 64, 128, 256, 1024]
  assert bucket(5, smallest=4) == 8
  assert bucket(100, most=120) == 120 and bucket(60, most=120) == 64
  assert bucket(130, most=120) == 130  # never too small for what it must hold
