"""Active learning for temporal action localization, in JAX.

Reproduces Caba Heilbron, Lee, Jin and Ghanem, "What do I Annotate Next? An Empirical Study of
Active Learning for Action Localization" (ECCV 2018). Importing the package imports nothing else:
take the module that is needed, e.g. `from tal_jax.models import svm`.
"""

from tal_jax import former_names

__version__ = "0.2.0"

former_names.install()
