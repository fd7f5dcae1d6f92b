"""Where the public data sets of the shipped configs come from, for whoever does not have them.

None is part of the project. The configs look for them in the folder $TAL_JAX_DATA, "data" if that
is not set.
"""

from __future__ import annotations

import os
import pathlib

from tal_jax.errors import DataError

_FORM = ("one folder {0} with {0}.json (ActivityNet's format, a field 'subject' for each video) "
         "and features/ID.npy, with the frame rate, stride and window of configs/real.py; this "
         "project has no program that makes it")
_SETS = {  # by the name of the annotation file: where it comes from, and how it is made
    "hapt.json": "HAPT comes from the UCI repository (data set 341, 'Smartphone-Based Recognition "
                 "of Human Activities and Postural Transitions', archive.ics.uci.edu): put its zip "
                 "into a folder DIR as it is, then python -m experiments.make_hapt "
                 "--manual_dir=DIR --output={folder}",
    "bedsensor.json": "bedsensor comes from UCI 427, 'Activity recognition with healthy older "
                      "people using a batteryless wearable sensor' (doi 10.24432/C5GG6B): "
                      + _FORM.format("bedsensor"),
    "jaad.json": "jaad comes from github.com/ykotseruba/JAAD (annotations of pedestrians): "
                 + _FORM.format("jaad"),
    "rats.json": "rats comes from github.com/Blossom0913/Mouse-Behavior-Classifier-Train "
                 "(data/dlc_csv, data/annotations; doi 10.6084/m9.figshare.30393298): "
                 + _FORM.format("rats"),
    "myo.json": "myo comes from github.com/aljazfrancic/myo-readings-dataset: "
                + _FORM.format("myo"),
    "activity_net.v1-3.json": "ActivityNet 1.3's annotations are offered at activity-net.org "
                              "(activity_net.v1-3.min.json): save them there under this name",
    "kinetics-400_val.csv": "Kinetics-400's labels are in ActivityNet's repository, "
                            "github.com/activitynet/ActivityNet (Crawler/Kinetics/data): save "
                            "kinetics-400_val.csv there",
}


def check_there(path: str | os.PathLike | None) -> None:
  """DataError, in one line, for the annotations or features of a public set that are missing."""
  if path is None or os.path.exists(path):
    return
  file = pathlib.Path(path)
  name = f"{file.parent.name}.json" if file.name == "features" else file.name
  if name in _SETS:
    folder = file.parent
    raise DataError(f"cannot read {path}: No such file or directory. "
                    f"{_SETS[name].format(folder=folder)}. If you have it elsewhere, set "
                    f"TAL_JAX_DATA to the folder that holds {folder.name}.")
