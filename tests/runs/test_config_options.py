"""Mistakes on the command line of a binary with a config: one line each, and exit code 2."""

import pytest
from absl import flags
from ml_collections import config_flags

from tal_jax.runs import cli

CONFIG = """
import ml_collections
def get_config(variant=""):
  return ml_collections.ConfigDict({
      "seeds": 5, "ratio": 0.5, "loud": False, "names": ("a", "b"), "title": "x",
      "policy": {"annotators": 3, "patience": 2.0}, "deep": {"er": {"down": 1}}})
"""


@pytest.fixture
def parse(tmp_path, monkeypatch, capsys):
  """Parses arguments after those of a config; gives the config, or the lines of the error."""
  file = tmp_path / "config.py"
  file.write_text(CONFIG)

  def run(*args, config=file):
    values = flags.FlagValues()
    monkeypatch.setattr(cli.flags, "FLAGS", values)
    argv = ["binary", f"--config={config}", *args]
    monkeypatch.setattr("sys.argv", argv)
    config_flags.DEFINE_config_file("config", flag_values=values)
    flags.DEFINE_string("workdir", None, "", flag_values=values)
    flags.DEFINE_multi_string("part", [], "", flag_values=values)
    try:
      cli._parse(argv)
    except SystemExit as end:
      assert end.code == 2
      return capsys.readouterr().err.removeprefix("error: ").splitlines()
    return values.config

  return run


@pytest.mark.parametrize(("args", "message"), [
    (["--config.polcy.annotators=2"], "no such field: 'polcy'; did you mean 'policy'?"),
    (["--config.policy.anotators=2"], "'policy.anotators'; did you mean 'policy.annotators'?"),
    (["--config.deep.er.dwn=2"], "did you mean 'deep.er.down'?"),
    (["--config.deep.re.down=2"], "'deep.re'; did you mean 'deep.er'?"),
    (["-config.polcy.annotators", "2"], "did you mean 'policy'?"),
    (["--config.annotators=2"], "did you mean 'policy.annotators'?"),
    (["--config.zzz.qqq=2"], "no such field: 'zzz'; there are deep, loud,"),
    (["--config.=2"], "no such field: ''"),
    (["--config..seeds=2"], "no such field: ''"),
    (["--noconfig.lud"], "no such field: 'lud'; did you mean 'loud'?"),
    (["--config.policy=2"], "policy is a section: set one of its settings"),
    (["--config.policy"], "policy is a section"),
    (["--config.title.x=2"], "title is a setting, not a section: write --config.title=VALUE"),
    (["--config.seeds.x=2"], "seeds is a setting"),
    (["--config.seeds=one"], "--config.seeds=one: it must be a whole number"),
    (["--config.seeds=1.5"], "it must be a whole number, such as 5"),
    (["--config.seeds="], "it must be a whole number"),
    (["--config.ratio=half"], "it must be a number, such as 0.5"),
    (["--config.loud=perhaps"], "it must be true or false"),
    (["--config.title"], "write --config.title=VALUE"),
    (["--config.names[0]=c"], "write --config.names=FIRST,SECOND"),
    (["--config.names[7]=c"], "write --config.names=FIRST,SECOND"),
    (["--confg.seeds=1"], "unknown option --confg.seeds: did you mean --config.seeds?"),
    (["--policy.annotators=1"], "did you mean --config.policy.annotators?"),
    (["--wrkdir=a"], "Did you mean: workdir")])
def test_mistakes(parse, args, message):
  lines = parse(*args)
  assert message in lines[0]
  assert lines[1:] in ([], ["See --help for the options."])


def test_a_config_without_its_file_names_the_nearest(parse, tmp_path):
  assert parse(config=tmp_path / "confg.py:x") == [
      f"--config={tmp_path}/confg.py:x: there is no file {tmp_path}/confg.py; did you mean "
      f"'{tmp_path}/config.py'?"]


def test_a_mistake_in_the_file_of_a_config_keeps_its_traceback(parse, tmp_path):
  path = tmp_path / "other.py"
  path.write_text("def get_config():\n  return {}['no such key']\n")
  with pytest.raises(KeyError, match="no such key"):
    parse("--config.seeds=1", config=path)


@pytest.mark.parametrize(("args", "said"), [
    (["--config.seeds=1", "--config.seeds=2"], "--config.seeds=1 and --config.seeds=2"),
    (["--config.seeds", "1", "--config.seeds=2"], "--config.seeds 1 and --config.seeds=2"),
    (["--config.seeds=2", "--workdir=a", "--workdir", "b"], "--workdir=a and --workdir b")])
def test_the_last_of_two_values_counts_and_that_is_said(parse, capsys, args, said):
  assert parse(*args).seeds == 2
  assert capsys.readouterr().err == f"note: {said}: the last one counts\n"


def test_what_is_no_mistake(parse):
  config = parse("--config.seeds=7", "--config.seeds=7", "--config.names=c,d", "--part=a",
                 "--part=b", "--config.loud", "--config.deep.er.down", "3", "--workdir=w")
  assert (config.seeds, config.names, config.loud, config.deep.er.down) == (7, ("c,d",), True, 3)
  assert parse("--config.names=c", "--config.names=d").names == ("c", "d")
  assert parse("--noconfig.loud", "--", "--config.seeds=1").seeds == 5


@pytest.mark.parametrize(("args", "wanted"), [
    (["--config.names=a,b:c=1,d=.5"], ("a", "b:c=1", "d=.5")),  # no Python
    (["--config.names", "b:c=1, a"], ("b:c=1", "a")), (["-config.names=a,b:c"], ("a", "b:c")),
    (["--config.names=a:b=1"], ("a:b=1",)), (["--config.names=('a','b:c')"], ("a", "b:c")),
    (["--config.names=a:b", "--config.names=c:d,e"], ("a:b", "c:d", "e"))])
def test_lists_of_names(parse, args, wanted):
  assert cli.names(parse(*args).names) == wanted


def test_what_is_not_a_list_of_names_is_left_alone(parse):
  assert parse("--config.title=a,b:c=1").title == "a,b:c=1"
  assert "Error while parsing" in parse("--config.names=('a',b:c)")[0]
  assert parse("--config.names=a b:c")[0].startswith("flag --config.names=a b:c")


def test_names_that_look_like_numbers():
  assert cli.names(("a, b", "c")) == ("a", "b", "c")
  assert cli.names((1, 2.5)) == ("1", "2.5")
