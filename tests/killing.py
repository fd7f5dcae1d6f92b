"""Kills a run in this process at a chosen call."""


class Killed(BaseException):
  """Stops a run in this process as SIGKILL would: nothing of ours catches it."""


def stop_at(monkeypatch, owner, name, *, call, after=False):
  """Raises at the given call of a function, before or after its work."""
  original, calls = getattr(owner, name), []

  def wrapped(*args, **kwargs):
    calls.append(name)
    if len(calls) == call and not after:
      raise Killed
    result = original(*args, **kwargs)
    if len(calls) == call:
      raise Killed
    return result

  monkeypatch.setattr(owner, name, wrapped)
