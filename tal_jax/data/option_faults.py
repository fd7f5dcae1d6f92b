"""Options of a config that a source of data does not take, in words."""

from __future__ import annotations

import re

_CONFIGS = {"simulated": "configs/anet.py", "activitynet_annotations":
            "configs/anet.py:annotations", "files": "configs/files.py", "tfds": "configs/tfds.py",
            "unsplit": "configs/propose.py:published"}


def of_source(source: str, error: TypeError) -> str | None:
  """What is wrong with `config.data`, from the error of a call with its fields.

  Args:
    source: the name of the source that was called.
    error: of the call.

  Returns:
    The message, or None where the error is not about which options there are.
  """
  text = str(error)
  unknown = re.search(r"unexpected keyword argument '(\w+)'", text)
  missing = re.search(r"missing \d+ required [\w -]*arguments?: (.+)", text)
  if unknown:
    said = f"has no setting data.{unknown[1]}"
  elif missing:
    said = "needs " + " and ".join(f"data.{name}" for name in re.findall(r"'(\w+)'", missing[1]))
  else:
    return None
  return (f"data.source = {source!r} {said}: a source takes the fields that its own config has, "
          f"{_CONFIGS[source]} for this one")
