# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Active learning for temporal action localization, in five minutes
#
# This notebook runs the smallest experiment of `tal_jax`: four selection functions choose which
# videos to annotate, on simulated data. It holds no logic: every line of work is in the repository.
# On Colab, open it from a checkout of the repository, choose any runtime (CPU, GPU or TPU), and run
# all cells.
#
# The data are a simulation. What you see here is no evidence about ActivityNet.

# %%
# Finds the checkout and installs what is missing. JAX is left as the runtime has it: Colab's
# matches its accelerator.
import importlib.util
import pathlib
import subprocess
import sys
import tempfile

root = pathlib.Path.cwd()
root = root if (root / "configs").is_dir() else root.parent
sys.path.insert(0, str(root))
if importlib.util.find_spec("orbax") is None or importlib.util.find_spec("ml_collections") is None:
  subprocess.run([sys.executable, "-m", "pip", "install", "-q", "-e", str(root)], check=True)

# %%
import jax

print(jax.devices())

# %% [markdown]
# ## Run
# The same as `python -m experiments.simulate --config=configs/anet.py:smoke`. Any field of the
# config can be changed, here or on the command line.

# %%
from configs import anet
from experiments import simulate

config = anet.get_config("smoke")
workdir = pathlib.Path(tempfile.mkdtemp())
summary = simulate.run(config, workdir)

# %% [markdown]
# ## Look

# %%
from IPython.display import Image, display

display(Image(workdir / "learning_curves.png"))

# %%
import json

for row in (workdir / "metrics.jsonl").read_text().splitlines()[:3]:
  print(json.dumps(json.loads(row), indent=1))
