"""The fault of a user, which every binary tells in plain lines. Imports nothing."""


class DataError(ValueError):
  """A fault in the user's data or configuration: what, where, how to mend. Exit code 2."""
