"""What a run says while it works."""

import sys

from tal_jax.runs import reporter


def test_work_inside_every_step_is_shown(capsys, monkeypatch):
  now = [0.0]
  monkeypatch.setattr(reporter.time, "monotonic", lambda: now[0])
  with reporter.Reporter("test") as report:
    report.expect_more(3)
    for step in range(3):
      for done in range(3):
        now[0] += 1.0
        report.working(f"step {step}: videos", done, 3)
      report.working(f"step {step}: too soon", 3, 3)
      report.step(f"step {step} done")
  said = capsys.readouterr().err
  assert all(f"step {step}: videos {done}/3" in said for step in range(3) for done in range(3))
  assert "too soon" not in said and "step 2 done" in said


def test_a_line_does_not_hang_on_the_bar_of_another_process(capsys):
  with reporter.Reporter("test") as report:
    report.bar.close()
    sys.stderr.write("\rother: 50%")  # what the other process has drawn
    report.say("disk full")
  assert capsys.readouterr().err.endswith("other: 50%\ndisk full\n")
