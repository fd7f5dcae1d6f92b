"""What whoever runs a campaign is told where nobody can go on by themselves, once per change."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from tal_jax.annotation.campaign import Campaign
from tal_jax.annotation.rules import people
from tal_jax.annotation.rules.people import Shortage

_NAMED = 5  # tasks of a line
_SECONDS = 60.0  # from one look to the next while nothing happens; links expire meanwhile


class Shortfall:
  """Looks at the campaign at every `step`."""

  def __init__(self, campaign: Campaign, say: Callable[[str], None]):
    self._campaign = campaign
    self._say = say
    self._seen = (-1, float("-inf"))  # the last event, and when it was looked
    self._told: dict[int, int] = {}  # task -> people missing
    self._unheard = 0
    self._no_gold = 0

  def step(self) -> None:
    """Says what is new; may be repeated after any fault. Raises sqlite3.Error."""
    now = self._campaign.clock()
    with self._campaign.store.read() as db:
      event = db.execute("SELECT COALESCE(MAX(id), 0) FROM events").fetchone()[0]
      if event == self._seen[0] and now - self._seen[1] < _SECONDS:
        return
      found = people.shortages(db, self._campaign.policy, now)
      unheard = people.unheard(db, now)
      no_gold = people.missing_gold(db, self._campaign.policy)
    new = [task for task in found if task.missing > self._told.get(task.task_id, 0)]
    for line in lines(new):
      self._say(line)
    if self._told and not found:
      self._say("enough people again for every task")
    if unheard and not self._unheard:
      self._say(f"{'1 task waits' if unheard == 1 else f'{unheard} tasks wait'} for an operator, "
                "and no operator has a valid link: start again, which makes new links, or name "
                "another one in `operators`")
    self._told = {task.task_id: task.missing for task in found}
    if no_gold and not self._no_gold:
      self._say(f"nobody new can qualify: there are {no_gold} gold tasks less than "
                "campaign.policy.gold_before: add gold, or ask for less")
    self._unheard = unheard
    self._no_gold = no_gold
    self._seen = (event, now)


def lines(found: Sequence[Shortage]) -> list[str]:
  """What to tell of tasks that want more people than can answer them, a line a number missing."""
  by_missing = defaultdict(list)
  for task in found:
    by_missing[task.missing].append(task)
  return [_line(tasks, missing) for missing, tasks in sorted(by_missing.items())]


def _line(tasks: Sequence[Shortage], missing: int) -> str:
  more = f"{missing} more {'person' if missing == 1 else 'people'}"
  if len(tasks) == 1:
    task, = tasks
    return (f"task {task.task_id} ({task.video}, {task.label}) wants {more} than can still answer "
            "it: invite somebody")
  names = ", ".join(str(task.task_id) for task in tasks[:_NAMED])
  rest = len(tasks) - _NAMED
  return (f"{len(tasks)} tasks want {more} than can still answer them: invite somebody (tasks "
          f"{names}{f' and {rest} others' if rest > 0 else ''})")
