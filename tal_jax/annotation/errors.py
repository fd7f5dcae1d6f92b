"""What a request to the campaign can be refused for. A refused request changes nothing.

These are faults of one request, not of the campaign: a server turns each into the status named
here. A fault of the files or of the configuration is a `tal_jax.errors.DataError`.
"""

from __future__ import annotations


class RequestError(Exception):
  """Base of all refusals; `status` is the HTTP status that says the same."""

  status = 400


class InvalidAnswer(RequestError):
  """Segments, a comment, a draft or an id that cannot be stored."""

  status = 422


class Unauthorized(RequestError):
  """A token that is unknown, expired or revoked; it is not said which."""

  status = 401


class Forbidden(RequestError):
  """Known, but may not do this."""

  status = 403


class NotFound(RequestError):
  """No such row."""

  status = 404


class Conflict(RequestError):
  """Contradicts what is stored, e.g. a second answer, or a used id with other content."""

  status = 409


class LeaseLost(Conflict):
  """The lease is over and its place is taken."""


class IllegalTransition(Conflict):
  """The state machine has no such step."""
