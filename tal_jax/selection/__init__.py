"""Selection functions g: which videos to annotate next (the paper, Sec. 3.2).

One signature, one dictionary:

    select(key, state, pool, *, batch_size) -> indices [batch_size] of unlabelled videos, best first

`state` is a `learner.LearnerState`; what a function knows beside the model stands in
`state.knowledge`. Truths of the pool are never read, but by `greedy_oracle`, which is a bound and
not a strategy.
"""

from __future__ import annotations

from tal_jax.selection import greedy_oracle, lal, margin, mcle, random_sampling, uncertainty

SELECTION = {
    "random": random_sampling.select,
    "uncertainty": uncertainty.select,
    "uncertainty_binary": uncertainty.select_binary,
    "margin": margin.select,
    "mcle": mcle.select,
    "lal": lal.select,
    "greedy_oracle": greedy_oracle.select,
}

# These read the attention of a stage-wise model; the others any model (models/localizer.py).
READS_ATTENTION = ("mcle", "lal", "greedy_oracle")

# What a strategy needs in `state.knowledge`; the experiments build only what is asked for.
NEEDS = {"mcle": "prior", "lal": "lal", "greedy_oracle": "testing"}
