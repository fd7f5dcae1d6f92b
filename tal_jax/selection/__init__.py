"""Selection functions g: which videos to annotate next (the paper, Sec. 3.2).

One signature, one dictionary of strategies, each of which prepares such a function:

    SELECTION[name](shared)  ->  select(key, state, pool, *, batch_size)
    select(...)              ->  indices [batch_size] of unlabelled videos, best first

`state` is a `learner.LearnerState`, `shared` a `strategy.Shared`. A new strategy is a file with a
`STRATEGY`, and its line here. Truths of the pool are never read, but by `greedy_oracle`, which is a
bound and not a strategy.
"""

from __future__ import annotations

from tal_jax.selection import greedy_oracle, lal, margin, mcle, random_sampling, uncertainty
from tal_jax.selection.strategy import Strategy

SELECTION: dict[str, Strategy] = {
    "random": random_sampling.STRATEGY,
    "uncertainty": uncertainty.STRATEGY,
    "uncertainty_binary": uncertainty.BINARY,
    "margin": margin.STRATEGY,
    "mcle": mcle.STRATEGY,
    "lal": lal.STRATEGY,
    "greedy_oracle": greedy_oracle.STRATEGY,
}
