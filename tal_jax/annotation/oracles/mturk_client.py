"""Amazon Mechanical Turk's API, as far as it is used here. The only file that knows boto3.

Two kinds of failure: `Unavailable`, after which nobody knows whether the call was carried out
(throttled, a fault of the service, no answer in time), and `Refused`, after which it was not. The
callers are written so that any call can be made again.

Source: the requester API 2017-01-17. A second CreateHITWithHITType with the same UniqueRequestToken
within 24 hours makes no second HIT; it is answered by an error whose message has the id of the
first. After that the token is forgotten, and `find` looks the HIT up by its RequesterAnnotation.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Container, Iterator
from typing import Any, NamedTuple

from tal_jax.errors import DataError

SANDBOX = "https://mturk-requester-sandbox.us-east-1.amazonaws.com"
PRODUCTION = "https://mturk-requester.us-east-1.amazonaws.com"
TOKEN_SECONDS = 23 * 3600.0  # for which a request token surely works: 24 hours, less a margin
_STATUSES = ("Submitted", "Approved", "Rejected")
_PAGE = 100
_THROTTLED = ("Throttling", "ThrottlingException", "TooManyRequestsException",
              "RequestLimitExceeded", "ServiceUnavailable", "ServiceFault", "InternalFailure")
_OVER = ("Reviewable", "Reviewing", "Disposed")


class CrowdError(Exception):
  """A call failed."""


class Unavailable(CrowdError):
  """Try again later; it may have been carried out."""


class Refused(CrowdError):
  """It was not carried out."""


class HitType(NamedTuple):
  """What workers see of a task before they take it."""

  title: str
  description: str
  keywords: str
  reward_cents: int
  assignment_seconds: int  # to answer in, from accepting
  auto_approval_seconds: int
  min_approved: int = 0  # answers of the worker that were ever approved
  min_approval_percent: int = 0


class CrowdAssignment(NamedTuple):
  id: str
  worker: str
  status: str  # "Submitted", "Approved" or "Rejected"


def connect(*, real_money: bool) -> Any:
  """A boto3 client: of the sandbox, or of the marketplace. Raises DataError without boto3."""
  try:
    import boto3
    from botocore.config import Config
  except ImportError as error:
    raise DataError("Mechanical Turk needs boto3: pip install 'tal_jax[mturk]'") from error
  config = Config(retries={"mode": "adaptive", "max_attempts": 8}, connect_timeout=10,
                  read_timeout=60)
  return boto3.client("mturk", region_name="us-east-1", config=config,
                      endpoint_url=PRODUCTION if real_money else SANDBOX)


class Client:
  """The calls, with the two kinds of failure told apart."""

  def __init__(self, client: Any):
    """`client`: of boto3, or a fake with the same methods that raises botocore's errors."""
    from botocore import exceptions

    self._client = client
    self._errors = exceptions

  def balance(self) -> str:
    """US dollars that are left in the account."""
    return self._call("get_account_balance")["AvailableBalance"]

  def hit_type(self, kind: HitType) -> str:
    """The id of a HIT type; of equal ones, the same."""
    return self._call(
        "create_hit_type", Title=kind.title, Description=kind.description, Keywords=kind.keywords,
        Reward=dollars(kind.reward_cents), AssignmentDurationInSeconds=kind.assignment_seconds,
        AutoApprovalDelayInSeconds=kind.auto_approval_seconds,
        QualificationRequirements=_qualifications(kind))["HITTypeId"]

  def create(self, hit_type: str, question: str, *, token: str, assignments: int,
             lifetime: int) -> str:
    """Publishes a HIT and gives its id; with a token that was used, the id of the first."""
    try:
      return self._call(
          "create_hit_with_hit_type", HITTypeId=hit_type, Question=question,
          MaxAssignments=assignments, LifetimeInSeconds=lifetime, RequesterAnnotation=token,
          UniqueRequestToken=token)["HIT"]["HITId"]
    except Refused as error:
      found = self._known(str(error), token)
      if found is None:
        raise
      return found

  def find(self, tokens: Container[str]) -> dict[str, str]:
    """Token -> HIT, of all HITs in the account that carry one of the tokens."""
    return {hit["RequesterAnnotation"]: hit["HITId"] for hit in self._pages("list_hits", "HITs")
            if hit.get("RequesterAnnotation") in tokens}

  def is_over(self, hit: str) -> bool:
    """Whether no worker has it or can get it any more."""
    return self._call("get_hit", HITId=hit)["HIT"]["HITStatus"] in _OVER

  def assignments(self, hit: str) -> list[CrowdAssignment]:
    """What was submitted to a HIT, each once, by id."""
    found = {a["AssignmentId"]: CrowdAssignment(a["AssignmentId"], a["WorkerId"],
                                                a["AssignmentStatus"])
             for a in self._pages("list_assignments_for_hit", "Assignments", HITId=hit,
                                  AssignmentStatuses=list(_STATUSES))}
    return [found[key] for key in sorted(found)]

  def expire(self, hit: str, now: float) -> None:
    """Takes a HIT off the market. Whoever has accepted it can still submit."""
    past = datetime.datetime.fromtimestamp(now - 60.0, datetime.UTC)
    try:
      self._call("update_expiration_for_hit", HITId=hit, ExpireAt=past)
    except Refused:  # the same call twice is refused, too, as "already processed"
      if self._call("get_hit", HITId=hit)["HIT"]["Expiration"].timestamp() > now:
        raise

  def approve(self, assignment: str) -> None:
    """Pays the worker. Again: Refused."""
    self._call("approve_assignment", AssignmentId=assignment)

  def _known(self, message: str, token: str) -> str | None:
    """The HIT named in a refusal, if it carries the token."""
    for hit in re.findall(r"\b[A-Z0-9]{20,64}\b", message):
      try:
        if self._call("get_hit", HITId=hit)["HIT"].get("RequesterAnnotation") == token:
          return hit
      except Refused:  # it was not the id of a HIT
        continue
    return None

  def _pages(self, method: str, field: str, **parameters: Any) -> Iterator[dict[str, Any]]:
    page: dict[str, Any] = {}
    while True:
      page = self._call(method, MaxResults=_PAGE, **parameters,
                        **({"NextToken": page["NextToken"]} if page else {}))
      yield from page.get(field, ())
      if not page.get("NextToken"):
        return

  def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
    try:
      return getattr(self._client, method)(**parameters)
    except self._errors.ClientError as error:
      code = error.response.get("Error", {}).get("Code", "")
      status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
      kind = Unavailable if code in _THROTTLED or status >= 500 else Refused
      raise kind(f"{method}: {error}") from error
    except (self._errors.NoCredentialsError, self._errors.PartialCredentialsError,
            self._errors.ParamValidationError) as error:
      raise Refused(f"{method}: {error}") from error
    except self._errors.BotoCoreError as error:
      raise Unavailable(f"{method}: {error}") from error


def dollars(cents: int) -> str:
  """As the API wants money: "0.25"."""
  return f"{cents // 100}.{cents % 100:02d}"


def _qualifications(kind: HitType) -> list[dict[str, Any]]:
  """Amazon's own system qualifications: the number approved, and the percentage."""
  wanted = (("00000000000000000040", kind.min_approved),
            ("000000000000000000L0", kind.min_approval_percent))
  return [{"QualificationTypeId": name, "Comparator": "GreaterThanOrEqualTo",
           "IntegerValues": [value], "ActionsGuarded": "DiscoverPreviewAndAccept"}
          for name, value in wanted if value]
