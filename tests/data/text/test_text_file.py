"""One door for all text: packed, in other encodings, from a pipe; the rest is refused by name."""

import bz2
import codecs
import concurrent.futures
import gzip
import json
import lzma
import os

import numpy as np
import pytest

from tal_jax.data.annotations import read_annotations
from tal_jax.data.predictions import read_predictions
from tal_jax.data.proposals import read_proposals
from tal_jax.data.text import text_file as lib
from tal_jax.data.text.json_file import load_json, plain
from tal_jax.errors import DataError

TEXT = '{"results": {"caf\u00e9": [\n{"label": "x", "score": 0.5, "segment": [0, 1.25]}]}}\n'
CSV = "video_id,subset,duration,label,start,end\ncaf\u00e9,training,9,x,0,1.25\n"
WRITERS = {
    "plain": str.encode, "mark": lambda text: codecs.BOM_UTF8 + text.encode(),
    "utf-16": lambda text: text.encode("utf-16"),
    "utf-16-be": lambda text: text.encode("utf-16-be"),
    "utf-16-le": lambda text: text.encode("utf-16-le"),
    "utf-32": lambda text: text.encode("utf-32"),
    "gzip": lambda text: gzip.compress(text.encode()),
    "gzip, mark": lambda text: gzip.compress(codecs.BOM_UTF8 + text.encode()),
    "bzip2": lambda text: bz2.compress(text.encode()),
    "xz": lambda text: lzma.compress(text.encode()),
    "old Mac": lambda text: text.replace("\n", "\r").encode(),
    "Windows": lambda text: text.replace("\n", "\r\n").encode()}


@pytest.mark.parametrize("name", WRITERS)
def test_all_readers_read_all_of_them(tmp_path, name):
  path, table = tmp_path / "p", tmp_path / "t"
  path.write_bytes(WRITERS[name](TEXT))
  table.write_bytes(WRITERS[name](CSV))
  assert lib.read_text(path) == TEXT and lib.read_head(path, 10**4).text == TEXT
  assert plain(load_json(path)) == json.loads(TEXT)
  file = read_predictions(path)
  assert file.video_ids == ("caf\u00e9",) and file.classes == ("x",)
  np.testing.assert_array_equal(file.predictions.segments, [[0, 1.25]])
  np.testing.assert_array_equal(read_proposals(path)["caf\u00e9"], [[0, 1.25]])
  np.testing.assert_array_equal(read_annotations(table).videos["caf\u00e9"].segments, [[0, 1.25]])


def test_signs_far_into_a_packed_file(tmp_path):
  video = {"subset": "s", "duration": 9, "annotations": [{"segment": [0, 1], "label": "x"}]}
  path = tmp_path / "a"
  text = json.dumps({"taxonomy": ["x" * 70] * 2000, "database": {"a": video}})
  path.write_bytes(gzip.compress(text.encode()))
  assert tuple(read_annotations(path).videos) == ("a",)


def test_a_pipe_may_be_looked_at_first(tmp_path):
  pipe = tmp_path / "pipe"
  os.mkfifo(pipe)
  with concurrent.futures.ThreadPoolExecutor() as executor:
    writing = executor.submit(pipe.write_bytes, gzip.compress(CSV.encode()))
    assert tuple(read_annotations(pipe).videos) == ("caf\u00e9",)
    writing.result(timeout=10)


@pytest.mark.parametrize(("content", "message"), [
    (b"\x28\xb5\x2f\xfd\x04", "packed by zstd: unpack it"), (b"PK\x03\x04abc", "a zip archive"),
    (b"\x80\x04\x95abc", "a Python pickle"), (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"a\0\0\0b\0c", "is no text|not a text file"),
    (b'{"a": "\xe9"}', "UTF-8: line 1 .* byte 0xe9"),
    (gzip.compress(TEXT.encode(), mtime=0)[:-12], "packed, and damaged or cut off"),
    (gzip.compress(bytes(300), mtime=0), "is no text")])
def test_other_files_are_refused_by_name(tmp_path, content, message):
  path = tmp_path / "p.json"
  path.write_bytes(content)
  for read in (lib.read_text, load_json, read_predictions):
    with pytest.raises(DataError, match=message) as fault:
      read(path)
    assert "p.json" in str(fault.value)


@pytest.mark.parametrize(("text", "message"), [
    ('{"a": 1', "Is the file complete"), ("", "The file is empty"), ("<html>", "a web page"),
    ('{"a": 1}\n{"a": 2}', "JSON Lines"), ('{"a": 1,}', "Found there"),
    ("version https://git-lfs.github.com/spec/v1", "Git LFS"), ("[" * 10**5, "not JSON")])
def test_what_is_no_json_is_told_apart(tmp_path, text, message):
  path = tmp_path / "p.json"
  path.write_text(text)
  for read in (load_json, read_predictions):
    with pytest.raises(DataError, match=message):
      read(path)
