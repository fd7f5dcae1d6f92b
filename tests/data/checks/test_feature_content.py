"""What features hold: copies, constants, row numbers, and columns that a writer of csv added."""

import gzip

import numpy as np
import pytest

from tal_jax.data.annotations import from_videos
from tal_jax.data.checks.validation import validate
from tal_jax.data.features import open_store, with_time
from tal_jax.data.records import VideoAnnotation
from tal_jax.data.text import csv_rows

RNG = np.random.default_rng(2)
IDS = ("a", "b", "c", "d")


def judge(folder, arrays):
  annotations = from_videos(VideoAnnotation(i, "t", 10.0, np.array([[1.0, 9.0]]), ("x",))
                            for i in IDS)
  for video_id, array in arrays.items():
    np.save(folder / f"{video_id}.npy", array)
  store = with_time(open_store(folder), annotations, fps=5.0)
  return [(p.kind, p.video_id, p.message) for p in validate(
      annotations, store, split=None).problems]


def noise(rows=50, width=8):
  return RNG.standard_normal((rows, width)).astype(np.float32)


def test_what_is_right(tmp_path):
  """Slow features, a share of the video and a constant column are no faults."""
  grow = np.linspace(0, 1, 50, dtype=np.float32)[:, None]
  assert not judge(tmp_path, {i: np.concatenate([np.cumsum(noise(), 0), grow, grow * 0 + 7], 1)
                              for i in IDS})


def test_the_same_everywhere(tmp_path):
  same = noise()
  assert judge(tmp_path, {i: same for i in IDS}) == [
      ("the same features everywhere", "", "all 4 videos")]


def test_few_columns_may_be_constant(tmp_path):
  """The state of a door, say."""
  assert not judge(tmp_path, {i: np.ones((50, 2)) for i in IDS})


def test_copies(tmp_path):
  same = noise()
  assert judge(tmp_path, {"a": noise(), "b": same, "c": noise(), "d": same}) == [
      ("same features", "b", "as d")]


def test_one_row_throughout(tmp_path):
  arrays = {i: np.repeat(noise(1), 50, axis=0) for i in IDS}
  assert judge(tmp_path, arrays) == [("one row throughout", "", "all 4 videos")]
  assert judge(tmp_path, {"a": noise(), "b": noise(), "c": noise()}) == [
      ("constant features", "d", "its 50 rows are all the same")]


@pytest.mark.parametrize(("column", "words"), [
    (np.arange(50.0), "from 0 in steps of 1"), (np.arange(1.0, 51), "from 1 in steps of 1"),
    (np.round(np.arange(50) * 0.64, 2), "from 0 in steps of 0.64"),
    (np.arange(50.0) * 16, "from 0 in steps of 16")])
@pytest.mark.parametrize("place", [0, 8])
def test_row_numbers(tmp_path, column, words, place):
  arrays = {i: np.insert(noise(), place, column, axis=1) for i in IDS}
  ((kind, _, message),) = judge(tmp_path, arrays)
  assert kind == "row numbers as features" and words in message
  assert message.startswith(f"column {place} grows evenly in all 4 videos")
  arrays["c"][7, place] += 2 * arrays["c"][1, place] + 3  # in one video it does not
  assert not judge(tmp_path, arrays)


def test_row_numbers_in_half_precision(tmp_path):
  """Beyond 2,048 float16 has no odd numbers."""
  rows = np.arange(3000)[:, None]
  ids = {i: np.concatenate([noise(3000), rows], 1).astype(np.float16) for i in IDS}
  assert "row numbers as features" in [kind for kind, _, _ in judge(tmp_path, ids)]


def test_rows_between_which_nothing_was_filled(tmp_path):
  values = noise()
  values[np.arange(50) % 8 != 2] = np.nan
  found = judge(tmp_path, {"a": values, "b": noise(), "c": noise(), "d": noise()})
  assert found == [("non-finite feature", "a", "44 of 50 rows, the first is row 0; of every 8 rows "
                    "one is finite, from row 2: features of stride 8 between rows that were never "
                    "filled?")]


NUMBERS = np.float32([[0.5, -2, 3], [1.5, 4, 5], [2.5, 7, 8]])


@pytest.mark.parametrize(("text", "left_out"), [
    ("x,y,z\n.5,-2,3\n1.5,4,5\n2.5,7,8\n", ()),
    (".5,-2,3\n1.5,4,5\n2.5,7,8\n", ()),
    (",0,1,2\n0,.5,-2,3\n1,1.5,4,5\n2,2.5,7,8\n", ("",)),
    ("Unnamed: 0,0,1,2\n5,.5,-2,3\n6,1.5,4,5\n7,2.5,7,8\n", ("Unnamed: 0",)),
    (",Unnamed: 0,x,y,z\n0,0,.5,-2,3\n1,1,1.5,4,5\n2,2,2.5,7,8\n", ("", "Unnamed: 0")),
    ("index,x,y,z\n0,.5,-2,3\n1,1.5,4,5\n2,2.5,7,8\n", ("index",)),
    ("frame,x,y,z\n0,.5,-2,3\n16,1.5,4,5\n32,2.5,7,8\n", ("frame",)),
    ("Time,x,y,z\n0.00,.5,-2,3\n0.64,1.5,4,5\n1.28,2.5,7,8\n", ("Time",)),
    (",timestamp_ms,x,y,z\n0,0,.5,-2,3\n1,640,1.5,4,5\n2,1280,2.5,7,8\n", ("", "timestamp_ms")),
    # R: quoted names and numbers; write.table, which leaves the name of the first column out.
    ('"","x","y","z"\n"1",.5,-2,3\n"2",1.5,4,5\n"3",2.5,7,8\n', ("",)),
    ('"x","y","z"\n"1",.5,-2,3\n"2",1.5,4,5\n"3",2.5,7,8\n', ("",)),
    # Named like an index, but a feature.
    ("time,y,z\n.5,-2,3\n1.5,4,5\n2.5,7,8\n".replace("1.5", "-1.5"), None),
    ("x;y;z\r\n,5;-2;3\r\n1,5;4;5\r\n2,5;7;8\r\n", ()),
    ("x\ty\tz\r.5\t-2\t3\r1.5\t4\t5\r2.5\t7\t8\r", ())])
def test_columns_that_a_writer_added(tmp_path, text, left_out):
  (tmp_path / "a.csv").write_bytes(text.encode())
  expected = NUMBERS * [[1, 1, 1], [-1 if left_out is None else 1, 1, 1], [1, 1, 1]]
  np.testing.assert_array_equal(csv_rows.values(tmp_path / "a.csv"), np.float32(expected))
  assert csv_rows.shape(tmp_path / "a.csv") == (3, 3)
  assert csv_rows.left_out(tmp_path / "a.csv") == (left_out or ())


@pytest.mark.parametrize("write", [
    lambda path, text: path.write_text(text, encoding="utf-16"),
    lambda path, text: path.write_text(text, encoding="utf-8-sig"),
    lambda path, text: (path.parent / "a.csv.gz").write_bytes(gzip.compress(text.encode()))])
def test_csv_is_opened_like_any_text(tmp_path, write):
  write(tmp_path / "a.csv", "x,y\n1,2\n3,4\n")
  store = open_store(tmp_path)
  assert store.ids() == ("a",)
  np.testing.assert_array_equal(store.part_values("a")[0], [[1, 2], [3, 4]])


def test_what_was_left_out_is_said(tmp_path):
  for video_id in IDS:
    lines = [",x,y"] + [f"{i},{x!r},{y!r}" for i, (x, y) in enumerate(noise(50, 2).tolist())]
    (tmp_path / f"{video_id}.csv").write_text("\n".join(lines))
  assert judge(tmp_path, {}) == [
      ("index column", "", "a first column without a name in 4 file(s)")]
