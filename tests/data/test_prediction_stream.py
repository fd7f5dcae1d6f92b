"""The fast reader of predictions against the standard library: the same numbers, or no answer."""

import concurrent.futures
import gzip
import json
import os

import numpy as np
import pytest
from hypothesis import example, given, settings, strategies as st

from tal_jax.data import predictions as lib
from tal_jax.data.prediction_stream import read_columns
from tal_jax.data.text.text_file import open_bytes
from tal_jax.errors import DataError

PIECE = 120  # bytes: a few entries


def entry(label="run", score=0.5, segment=(0, 10.25), **more):
  return {"label": label, "score": score, "segment": list(segment), **more}


def assert_equal(columns, expected):
  assert columns.video_ids == expected.video_ids and columns.classes == expected.classes
  for name in ("counts", "label", "segments", "scores"):
    given, wanted = getattr(columns, name), getattr(expected, name)
    assert given.dtype == wanted.dtype and given.shape == wanted.shape
    np.testing.assert_array_equal(given, wanted)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
  return tmp_path_factory.mktemp("stream") / "predictions.json"


TEXT = st.text(st.characters(exclude_characters=":", exclude_categories=["Cs"]), max_size=6)
NUMBER = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-10**25, 10**25)
ENTRIES = st.lists(st.builds(entry, TEXT, NUMBER, st.tuples(NUMBER, NUMBER)), max_size=4)
RESULTS = st.dictionaries(TEXT, ENTRIES, max_size=8)
LAYOUT = st.fixed_dictionaries({
    "indent": st.sampled_from([None, 0, 1, "\t"]), "ensure_ascii": st.booleans(),
    "separators": st.sampled_from([(",", ":"), (" ,\r\n", " : ")]), "sort_keys": st.booleans()})


@settings(max_examples=200, deadline=None)
@given(RESULTS, LAYOUT, st.integers(PIECE, 1000))
def test_equals_the_standard_library(path, results, layout, piece_bytes):
  results["last"] = [entry()]
  content = {"version": "1.3: [{}]", "results": results, "external_data": {"a": [{"b": []}]}}
  path.write_text(json.dumps(content, **layout), encoding="utf-8")
  columns = read_columns(path, piece_bytes)
  if not layout["sort_keys"]:
    assert columns is not None
  if columns is not None:
    assert_equal(columns, lib._read_exactly(path))
  assert lib.read_predictions(path).predictions.video.shape == (sum(map(len, results.values())),)


PLAIN = json.dumps({"version": "1", "results": {
    "a": [entry(), entry("jump", 1e-7)], "b": [], "c": [entry(segment=(3, 4))] * 6,
    "d": [entry("r\u00e9"), entry("]}")]}, "external_data": {"used": False}}).encode()
TOKENS = [bytes([i]) for i in b'{}[]:,"\\ 0-.e\xff\n'] + [b"}],", b"}]}", b'"results": {', b"null"]


@pytest.mark.slow
@settings(max_examples=1500, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(PLAIN)), st.integers(0, 12), st.sampled_from(TOKENS)),
                max_size=3), st.booleans())
@example([], False)
def test_a_damaged_file_is_never_misread(path, edits, insert):
  text = PLAIN
  for start, length, token in edits:
    text = text[:start] + token + text[start + (0 if insert else length):]
  path.write_bytes(text)
  columns = read_columns(path, PIECE)
  assert columns is not None or edits
  if columns is not None:
    assert_equal(columns, lib._read_exactly(path))  # raises DataError if the file has a fault


@pytest.mark.parametrize("indent", [None, 2])
def test_two_processes_read_as_one_does(path, indent):
  rng = np.random.default_rng(0)
  results = {f"v{i}": [entry(f"class {i * j % 7}", float(rng.random()), rng.random(2).tolist())
                       for j in range(i % 5)] for i in range(60)}
  text = json.dumps({"results": results, "version": 1}, indent=indent)
  path.write_text(text)
  columns = read_columns(path, 500, parallel_bytes=0)
  assert_equal(columns, lib._read_exactly(path))
  assert_equal(columns, read_columns(path, 500))
  for start in (len(text) // 4, 3 * len(text) // 4):  # a fault in either half
    path.write_text(text[:start] + text[start + 40:])
    assert read_columns(path, 500) is None
    assert read_columns(path, 500, parallel_bytes=0) is None


@pytest.mark.parametrize("executable", ["", "/bin/false", "/no/such/program"])
def test_one_process_reads_where_a_second_cannot_be_had(path, executable, monkeypatch):
  monkeypatch.setattr("sys.executable", executable)
  results = {f"v{i}": [entry("walk", 0.5, [0, i])] for i in range(1, 60)}
  path.write_text(json.dumps({"results": results}))
  assert_equal(read_columns(path, 500, parallel_bytes=0), lib._read_exactly(path))


@pytest.mark.parametrize("text", [
    json.dumps({"results": {"a": [entry(model="x")]}}),
    json.dumps({"results": {"a": [entry("no: colon")]}}),
    json.dumps({"results": {}}),
    json.dumps({"results": {"a": []}}) + " ",
    json.dumps({"external_data": {"results": {"b": [entry()]}}, "results": {"a": [entry()]}}),
    json.dumps({"note": float("nan"), "results": {"a": [entry()]}}),
    '{"results": {"a": [{"label": "\\ud800", "score": 1, "segment": [0, 1]}]}}'])
def test_unusual_files_are_read_exactly(path, text):
  path.write_text(text)
  columns = read_columns(path)
  if columns is not None:
    assert_equal(columns, lib._read_exactly(path))
  file = lib.read_predictions(path)
  assert file.video_ids == tuple(json.loads(text)["results"])


@pytest.mark.parametrize(("text", "message"), [
    ('{"results": {"a": [%(e)s], "b": [%(e)s], "a": [%(e)s]}}', "repeated key.*'a'"),
    ('{"results": {"a": [%(e)s]}, "results": {"b": [%(e)s]}}', "repeated key.*'results'"),
    ('{"results": {"a": [{"label": "x", "label": "y", "score": 1, "segment": [0, 1]}]}}',
     "repeated key.*'label'"),
    ('{"x": {"results": {"a": [%(e)s]}}}', "no 'results' object"),
    ('{"results": {"a": [%(e)s]}, }', "is not JSON"),
    ('{"results": {"a": [%(e)s]}} {}', "is not JSON"),
    ('{"results": {"a": [%(e)s], "b": [%(e)s', "is not JSON.*complete"),
    ('{"results": {"a": [%(e)s], , "b": [%(e)s]}}', "is not JSON"),
    ('{"results": {"a": [%(e)s], "b": [{"label": "x", "score": 1e999, "segment": [0, 1]}]}}',
     r"results\['b'\]\[0\]: score must be a finite number")])
@pytest.mark.parametrize("copies", [1, 30])
def test_faults_keep_their_messages(path, text, message, copies):
  path.write_text(text % {"e": ", ".join([json.dumps(entry())] * copies)} if "%" in text else text)
  assert read_columns(path, PIECE) is None
  with pytest.raises(DataError, match=message):
    lib.read_predictions(path)


def test_a_mark_and_a_packed_file_are_streamed(path):
  path.write_bytes(b"\xef\xbb\xbf" + PLAIN)
  assert_equal(read_columns(path, PIECE), lib._read_exactly(path))
  path.write_bytes(gzip.compress(PLAIN))
  columns = read_columns(path, PIECE, parallel_bytes=0, open_file=open_bytes)
  assert_equal(columns, lib._read_exactly(path))
  assert read_columns(path, PIECE) is None


def test_a_pipe_is_read_too(tmp_path):
  pipe = tmp_path / "pipe"
  os.mkfifo(pipe)
  text = json.dumps({"results": {"a": [entry()]}})
  with concurrent.futures.ThreadPoolExecutor() as executor:
    writing = executor.submit(pipe.write_text, text)
    assert lib.read_predictions(pipe).video_ids == ("a",)
    writing.result()
