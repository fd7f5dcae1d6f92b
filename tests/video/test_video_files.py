"""Ids of videos in folders that hold files of the same names."""

import pytest

from tal_jax.errors import DataError
from tal_jax.video.video_files import find_videos, starts_as_media


def games(folder, names):
  files = [folder / name for name in names]
  for file in files:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"\x1aE\xdf\xa3")
  return files


def test_ids_from_paths(tmp_path):
  files = games(tmp_path, [f"{game}/{half}_224p.mkv" for game in ("b", "a/x") for half in (1, 2)])
  found = find_videos([tmp_path], ids="path")
  assert found.paths == {"b_1_224p": files[0], "b_2_224p": files[1], "a_x_1_224p": files[2],
                         "a_x_2_224p": files[3]}
  assert list(found.paths) == sorted(found.paths)


def test_paths_count_from_what_all_places_share(tmp_path, monkeypatch):
  one, two = games(tmp_path, ["cup/1.mkv", "league/1.mkv"])
  both = {"cup_1": one, "league_1": two}
  assert find_videos([tmp_path / "cup", tmp_path / "league"], ids="path").paths == both
  assert find_videos([one, two], ids="path").paths == both
  assert find_videos([one], ids="path").paths == {"1": one}
  monkeypatch.chdir(tmp_path)
  assert list(find_videos(["cup", "league"], ids="path").paths) == list(both)
  assert list(find_videos(["."], ids="path").paths) == list(both)


def test_all_that_share_an_id_are_counted_and_the_option_is_named(tmp_path):
  names = [f"game{k}/{half}.mkv" for k in range(3) for half in (1, 2)] + ["final.mkv"]
  games(tmp_path, names)
  with pytest.raises(DataError, match="two videos have the id '1'") as caught:
    find_videos([tmp_path], option="--ids=path")
  message = str(caught.value)
  assert "6 of 7 videos share an id" in message and "add --ids=path" in message
  assert "'game1_1'" in message
  with pytest.raises(DataError, match="rename one of them") as caught:  # no such option there
    find_videos([tmp_path])
  assert "--" not in str(caught.value)


def test_an_option_that_would_not_help_is_not_named(tmp_path):
  games(tmp_path, ["a/x.mkv", "a/x.webm"])
  with pytest.raises(DataError, match="2 of 2 videos share an id.* rename one") as caught:
    find_videos([tmp_path], option="--ids=path")
  assert "--ids" not in str(caught.value)
  games(tmp_path, ["b/c_d.mkv", "b_c/d.mkv"])
  with pytest.raises(DataError, match="two videos have the id 'b_c_d'.*names of the folders"):
    find_videos([tmp_path / "b", tmp_path / "b_c"], ids="path", option="--ids=path")


def test_ids_of_no_known_kind(tmp_path):
  games(tmp_path, ["a.mkv"])
  with pytest.raises(DataError, match="ids = 'paths': there are name and path"):
    find_videos([tmp_path], ids="paths")


@pytest.mark.parametrize(("unit", "expected"), [
    ("67 42", True), ("27 64", True), ("09 10", True),  # H.264: parameters twice, a delimiter
    ("40 01", True), ("46 01", True),  # H.265: parameters, a delimiter
    ("40 00", False), ("00 00", False), ("e7 01", False)])
def test_bare_streams_are_known_by_their_first_unit(unit, expected):
  for start in (b"\0\0\1", b"\0\0\0\1"):
    assert starts_as_media(start + bytes.fromhex(unit) + bytes(20)) is expected
