"""Mechanical Turk in this process: state, request tokens, fees, and all its bad habits.

It has the methods of boto3's client that the project uses; parameters are checked with botocore's
own model of the API, and errors are botocore's. Tests give it a clock, and faults:

- before a call: throttled, nothing was done; after it: done, but the reply is lost;
- lists come in random order, in small pages, and with entries twice;
- a request token is forgotten after 24 hours; before, a repeat is an error that names the HIT, or
  (an older way of the service) the same HIT again;
- a second approval, and a second equal UpdateExpirationForHIT, are refused.

Workers act through `accept`, `give_back` and `submit`.
"""

import datetime
import random
import re

import botocore.exceptions
import botocore.session
from botocore import validate

FORGET = 24 * 3600.0
_MODEL = None


def _model():
  global _MODEL  # read once a process: 0.3 s
  if _MODEL is None:
    _MODEL = botocore.session.Session().get_service_model("mturk")
  return _MODEL


class Kill(BaseException):
  """The process dies here."""


def error(operation, code, message, turk_code=""):
  return botocore.exceptions.ClientError(
      {"Error": {"Code": code, "Message": message}, "TurkErrorCode": turk_code,
       "ResponseMetadata": {"HTTPStatusCode": 500 if code == "ServiceFault" else 400}}, operation)


class FakeMTurk:
  """`faults(operation, when)` is asked before and after each call: None, "throttle", "lose", or it
  raises, e.g. Kill."""

  def __init__(self, clock, *, seed=0, faults=lambda operation, when: None, page=3,
               repeats="error", balance_cents=10_000):
    self.clock = clock
    self.faults = faults
    self.repeats = repeats
    self.balance_cents = balance_cents
    self.types, self.hits, self.assignments = {}, {}, {}
    self.calls = []
    self._tokens = {}  # token -> (HIT, when)
    self._expirations = set()
    self._rng = random.Random(seed)
    self._page = page
    self._pages = {}
    self._count = 0

  # The API.

  def get_account_balance(self):
    return self._call("GetAccountBalance", {}, lambda: {
        "AvailableBalance": f"{self.balance_cents / 100:.2f}"})

  def create_hit_type(self, **p):
    def work():
      key = repr(sorted(p.items(), key=lambda item: item[0]))
      known = {repr(sorted(v.items(), key=lambda item: item[0])): k for k, v in self.types.items()}
      if key not in known:
        known[key] = self._id("3TYPE")
        self.types[known[key]] = dict(p)
      return {"HITTypeId": known[key]}
    return self._call("CreateHITType", p, work)

  def create_hit_with_hit_type(self, **p):
    def work():
      if p["HITTypeId"] not in self.types:
        raise error("CreateHITWithHITType", "RequestError", "HIT type does not exist")
      token = p["UniqueRequestToken"]
      if token in self._tokens and self.clock() - self._tokens[token][1] < FORGET:
        hit = self._tokens[token][0]
        if self.repeats == "error":
          raise error("CreateHITWithHITType", "RequestError",
                      f"The HIT {hit} was created with that token before. (1657421793250 s)",
                      "AWS.MechanicalTurk.HITAlreadyExists")
        return {"HIT": self._describe(hit)}
      hit = self._id("3HIT")
      self.hits[hit] = {
          "type": p["HITTypeId"], "question": p["Question"], "max": p["MaxAssignments"],
          "expiration": self.clock() + p["LifetimeInSeconds"], "note": p["RequesterAnnotation"]}
      self._tokens[token] = (hit, self.clock())
      return {"HIT": self._describe(hit)}
    return self._call("CreateHITWithHITType", p, work)

  def get_hit(self, **p):
    return self._call("GetHIT", p, lambda: {"HIT": self._describe(self._known(p, "GetHIT"))})

  def list_hits(self, **p):
    return self._call("ListHITs", p, lambda: self._list(
        "HITs", p, [self._describe(hit) for hit in self.hits]))

  def list_assignments_for_hit(self, **p):
    def work():
      hit = self._known(p, "ListAssignmentsForHIT")
      return self._list("Assignments", p, [
          {"AssignmentId": key, "WorkerId": a["worker"], "HITId": hit,
           "AssignmentStatus": a["status"]} for key, a in self.assignments.items()
          if a["hit"] == hit and a["status"] in p["AssignmentStatuses"]])
    return self._call("ListAssignmentsForHIT", p, work)

  def update_expiration_for_hit(self, **p):
    def work():
      hit = self._known(p, "UpdateExpirationForHIT")
      key = (hit, p["ExpireAt"])
      if key in self._expirations:
        raise error("UpdateExpirationForHIT", "RequestError",
                    f'The idempotency token "{key}" has already been processed.')
      self._expirations.add(key)
      self.hits[hit]["expiration"] = p["ExpireAt"].timestamp()
      return {}
    return self._call("UpdateExpirationForHIT", p, work)

  def approve_assignment(self, **p):
    def work():
      assignment = self.assignments.get(p["AssignmentId"])
      if assignment is None or assignment["status"] != "Submitted":
        raise error("ApproveAssignment", "RequestError",
                    "This operation can be called with a status of: Submitted")
      self._approve(p["AssignmentId"])
      return {}
    return self._call("ApproveAssignment", p, work)

  # The marketplace.

  def available(self, hit):
    """Whether a worker could accept it."""
    self._abandon()
    taken = [a for a in self.assignments.values() if a["hit"] == hit and a["status"] != "Returned"]
    return self.clock() < self.hits[hit]["expiration"] and len(taken) < self.hits[hit]["max"]

  def accept(self, hit, worker):
    """The id of the assignment; None if the worker cannot have it."""
    if not self.available(hit) or any(a["hit"] == hit and a["worker"] == worker
                                      and a["status"] != "Returned"
                                      for a in self.assignments.values()):
      return None
    key = self._id("3ASSIGNMENT")
    self.assignments[key] = {"hit": hit, "worker": worker, "status": "Accepted", "payments": 0,
                             "at": self.clock()}
    return key

  def give_back(self, assignment):
    self.assignments[assignment]["status"] = "Returned"

  def submit(self, assignment):
    self._abandon()
    assert self.assignments[assignment]["status"] == "Accepted"
    self.assignments[assignment]["status"] = "Submitted"

  def approve_by_time(self):
    """What happens to everything submitted when the auto-approval delay is over."""
    for key, assignment in self.assignments.items():
      if assignment["status"] == "Submitted":
        self._approve(key)

  def query(self, assignment, hit=None):
    """What Amazon appends to the address of the page, with what the address has itself."""
    hit = hit or self.assignments[assignment]["hit"]
    url = re.search("<ExternalURL>(.*)</ExternalURL>", self.hits[hit]["question"]).group(1)
    own = dict(part.split("=") for part in url.replace("&amp;", "&").partition("?")[2].split("&"))
    return own | {"assignmentId": assignment, "hitId": hit,
                  "workerId": self.assignments[assignment]["worker"],
                  "turkSubmitTo": "https://workersandbox.mturk.com"}

  # Inside.

  def _abandon(self):
    """Takes back what was not submitted in time; nobody is told."""
    for assignment in self.assignments.values():
      kind = self.types[self.hits[assignment["hit"]]["type"]]
      if assignment["status"] == "Accepted" and (
          self.clock() - assignment["at"] >= kind["AssignmentDurationInSeconds"]):
        assignment["status"] = "Returned"

  def _approve(self, key):
    assignment = self.assignments[key]
    assignment["status"] = "Approved"
    assignment["payments"] += 1
    dollars, cents = self.types[self.hits[assignment["hit"]]["type"]]["Reward"].split(".")
    reward = 100 * int(dollars) + int(cents)
    share = 0.4 if self.hits[assignment["hit"]]["max"] >= 10 else 0.2
    self.balance_cents -= reward + max(1, round(share * reward + 0.4999))

  def _status(self, hit):
    if self.available(hit):
      return "Assignable"
    at_work = any(a["hit"] == hit and a["status"] == "Accepted" for a in self.assignments.values())
    return "Unassignable" if at_work else "Reviewable"

  def _describe(self, hit):
    row = self.hits[hit]
    return {"HITId": hit, "HITTypeId": row["type"], "HITStatus": self._status(hit),
            "RequesterAnnotation": row["note"],
            "Expiration": datetime.datetime.fromtimestamp(row["expiration"], datetime.UTC)}

  def _known(self, p, operation):
    if p["HITId"] not in self.hits:
      raise error(operation, "RequestError", f"Hit {p['HITId']} does not exist. (1657421793250 s)")
    return p["HITId"]

  def _list(self, field, p, entries):
    if "NextToken" not in p:
      self._rng.shuffle(entries)
      entries += [e for e in entries if self._rng.random() < 0.3]
    else:
      entries = self._pages.pop(p["NextToken"])
    size = min(self._page, p["MaxResults"])
    page = {field: entries[:size]}
    if entries[size:]:
      page["NextToken"] = self._id("page")
      self._pages[page["NextToken"]] = entries[size:]
    return page

  def _id(self, prefix):
    self._count += 1
    return f"{prefix}{self._count:020d}"

  def _call(self, operation, parameters, work):
    report = validate.ParamValidator().validate(
        parameters, _model().operation_model(operation).input_shape)
    assert not report.has_errors(), report.generate_report()
    fault = self.faults(operation, "before")
    if fault == "throttle":
      raise error(operation, "ThrottlingException", "Rate exceeded")
    result = work()
    self.calls.append((operation, parameters))
    fault = self.faults(operation, "after")
    if fault == "lose":
      raise botocore.exceptions.ReadTimeoutError(endpoint_url="https://mturk")
    if fault == "throttle":
      raise error(operation, "ServiceFault", "try again")
    return result
