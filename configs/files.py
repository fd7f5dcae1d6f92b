"""Your own data: annotations and features in any of the formats that are about.

    python -m experiments.simulate --config=configs/files.py \
        --config.data.annotations=truth.json --config.data.features=features/ \
        --config.data.fps=25 --config.data.stride=16 --config.data.window=16

The formats of annotations, features and proposals are detected, and the report says what each path
was taken for; `data.annotations_format` and so on name one (tal_jax/data/formats lists them).
Several annotation files (a subset each) or feature folders are written with commas between: folders
with the same videos (RGB and flow) are put side by side, folders without a common one are one set.

Row i of a feature file covers the frames [i * stride, i * stride + window) at `fps` frames per
second. What is left at 0 is what is stored with the features, else what their layout says, else the
frame rate of each video in the annotations, stride 1 and window 1. Everything is validated before
anything runs; the report names every fault by file and video. Minutes and memory depend on your
data: the features of all proposals are held in memory, 4 bytes a number (2 with
`data.dtype=float16`).

Without `data.proposals` sliding windows are drawn. The variant is the kind of the split:

| variant | Knowledge-Source | Selection and Testing |
|---|---|---|
| `class` | some of the classes (the paper, Sec. 4.1): needs many | the others, by subset |
| `subject` | some subjects (people, cameras): the field `data.split.key` | the rest, by subset |
| `drawn_subjects` | none | Testing is the subjects of a share, drawn for each seed |
| `subsets` | none | by subset |
| `list` | of a JSON file of ids, `data.split.path`; may be empty | of the file |

    --config=configs/files.py:drawn_subjects --config.data.split.key=person

Without Knowledge-Source all strategies run but `mcle` and `lal`.
"""

from ml_collections import ConfigDict

from configs import common


def get_config(split: str = "class") -> ConfigDict:
  config = common.defaults()
  config.name = f"files:{split}"
  config.model = "auto"  # "paper" for the strategies mcle, lal and greedy_oracle
  config.strategies = ("random", "uncertainty", "margin")
  config.mcle.prior = "knowledge_source"  # real search results are not at hand
  data = config.data
  data.source = "files"
  data.annotations = ""  # required: one file, or several with commas between
  data.annotations_format = "auto"
  data.features = ""  # required: a folder, an HDF5 file, a pattern (x/{}_rgb.npy), or several: a,b
  data.features_format = "auto"  # tsp, epic_slowfast, actionformer_* are not detected: name them
  data.feature_key = ""  # the array's name inside .npz files or HDF5 groups
  data.fps, data.stride, data.window = 0.0, 0.0, 0.0  # 0: see above
  data.video_info = ""  # durations, where the annotations have none: csv video_id,duration[,fps]
  data.background = False  # Kinetics: True takes the whole video, with the clip as its truth
  data.label = ""  # EPIC-Kitchens: "verb" (the default) or "noun"
  data.no_class = ""  # labels that are no class, THUMOS14's Ambiguous say: left out
  data.proposals = ""  # ActivityNet JSON, BMN, SSN or DAPs; "" draws sliding windows
  data.proposals_format = "auto"
  # The most proposals of a video: of a file the best, of windows the longest lengths; 0: all.
  data.num_proposals = 0
  data.windows = ConfigDict({"shortest": 2.0, "longest": 0.0, "ratio": 1.4, "overlap": 0.75})
  data.allow_missing = False  # True: a video without features leaves the split, with a warning
  subsets = {"knowledge_subset": "training", "selection_subset": "training",
             "testing_subset": "validation"}  # spelled as in the annotations
  cold = {name: value for name, value in subsets.items() if name != "knowledge_subset"}
  splits = {"class": {"num_knowledge_classes": 50, **subsets},
            "subject": {"num_knowledge_subjects": 5, "key": "subject", **subsets},
            "drawn_subjects": {"testing_share": 0.3, "key": "subject"}, "subsets": cold,
            "list": {"path": ""}}
  if split not in splits:
    raise ValueError(f"configs/files.py has no variant {split!r}: there are {', '.join(splits)}")
  data.split = ConfigDict({"kind": split, **splits[split]})
  return config
