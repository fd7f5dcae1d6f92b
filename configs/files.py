"""Your own data: ActivityNet-format annotations and one feature file per video.

    python -m experiments.simulate --config=configs/files.py \
        --config.data.annotations=truth.json --config.data.features=features/ \
        --config.data.fps=25 --config.data.stride=16 --config.data.window=16

Row i of a feature file covers the frames [i * stride, i * stride + window) at `fps` frames per
second; leave `fps` at 0 to read it from the field `fps` of each video. Everything is validated
before anything runs; the report names every fault by file and video. Minutes and memory depend on
your data: the features of all proposals are held in memory, 4 bytes a number (2 with
`data.dtype=float16`).

Without `data.proposals` (an ActivityNet-format proposals JSON) sliding windows are drawn.
`data.split.kind` is "class" (the paper's, Sec. 4.1: needs many classes), "subject" (needs a field
`subject` in the annotations) or "list" (a JSON file of ids, `data.split.path`).
"""

from ml_collections import ConfigDict

from configs import common


def get_config(split: str = "class") -> ConfigDict:
  config = common.defaults()
  config.name = f"files:{split}"
  config.mcle.prior = "knowledge_source"  # real search results are not at hand
  data = config.data
  data.source = "files"
  data.annotations = ""  # required
  data.features = ""  # required: a folder of .npy or .npz, or one HDF5 file
  data.fps, data.stride, data.window = 0.0, 1.0, 1.0
  data.proposals = ""  # JSON; "" draws sliding windows
  data.num_proposals = 0  # keep this many of the file per video; 0 means all
  data.windows = ConfigDict({"shortest": 2.0, "longest": 0.0, "ratio": 1.4, "overlap": 0.75})
  data.allow_missing = False  # True: a video without features leaves the split, with a warning
  splits = {"class": {"num_knowledge_classes": 50}, "subject": {"num_knowledge_subjects": 5},
            "list": {"path": ""}}
  if split not in splits:
    raise ValueError(f"configs/files.py has no variant {split!r}: there are {', '.join(splits)}")
  data.split = ConfigDict({"kind": split, **splits[split]})
  return config
