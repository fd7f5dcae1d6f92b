"""experiments.check_data makes no more sliding windows than the memory holds."""

import json

from configs import files
from experiments import check_data


def test_durations_in_milliseconds_do_not_fill_the_memory(tmp_path):
  """Each of these videos would have seven million windows."""
  video = {"duration": 1e6, "annotations": [{"segment": [1, 9], "label": "x"},
                                            {"segment": [2, 8], "label": "y"}]}
  path = tmp_path / "a.json"
  path.write_text(json.dumps({"database": {f"v{i}": {"subset": "training", **video}
                                           for i in range(40)}}))
  config = files.get_config()
  config.data.annotations = str(path)
  result = check_data.run(config, tmp_path / "out")
  assert "too many to count their recall" in check_data.text(result)
  assert result.report.count("durations not in seconds") == 1
  assert "recall" not in result.rows[0] or result.rows[0]["recall"] is None


def test_the_number_of_windows_is_about_right():
  for duration, options in ((300.0, {}), (1000.0, {"shortest": 5.0, "ratio": 2.0}),
                            (500.0, {"overlap": 0.5})):
    true = len(check_data.sliding_windows(duration, **options))
    found = check_data._num_windows(duration, {"overlap": 0.75} | options)
    assert 0.8 * true < found < 1.4 * true
  assert check_data._num_windows(1e6, {"overlap": 0.75, "most": 50}) == 50
