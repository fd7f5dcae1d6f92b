"""An annotation campaign on a folder of videos: the learner asks, people answer in a browser.

    python -m experiments.extract_features --videos=videos --output=features --encoder=i3d
    python -m experiments.annotate --config=configs/campaign.py --workdir=runs/campaign \
        --config.campaign.videos=videos --config.campaign.labels=labels.json \
        --config.data.features=features --config.campaign.local.annotators=ann,bob,cleo

The paper, Sec. 3.3 and 5.1. It prints a personal link for each annotator and for the operator, who
sees the rounds, the annotators and the queue, and decides where annotators differ. The same command
goes on after a stop or a crash. Between two starts all of it may change but `data.seed`: videos and
classes are added, people, strategy, model and budget change, files move. What was asked of a video
stays as it was asked: its file, its duration and its label must stay, and the start says so if not.
Where the pool or the model changed, the learner is trained again on the answers that are there
(docs/annotation_running.md has the list).

A video's id is its file's name without the suffix (see also `ids`), in the labels, the features and
the annotations alike. `data.annotations` is optional: a testing subset in it, annotated beforehand,
gives the mAP after each round; a knowledge subset is what the strategies mcle and lal learn from,
which need --config.model=paper or stage_wise. Features and proposals are as in configs/files.py.

An annotator answers all classes of a video in one visit, so `policy.annotators` people are enough,
however many classes a video has; with fewer the campaign does not start. Where they differ, up to
`policy.max_annotators` are asked, and an operator decides when nobody is left to ask.

Expected: people take minutes per video. Between two rounds the learner works for seconds to
minutes (docs/benchmark.md), in the memory that the features of all proposals need, 4 bytes a
number. A page is served in milliseconds on any machine.
"""

import msgspec
from ml_collections import ConfigDict

from configs import common
from tal_jax.annotation.campaign import Policy
from tal_jax.annotation.oracles.label_studio import LabelStudioSettings
from tal_jax.annotation.oracles.local import LocalSettings
from tal_jax.annotation.oracles.mturk import TurkSettings
from tal_jax.annotation.oracles.simulated import SimulatedSettings


def get_config(variant: str = "default") -> ConfigDict:
  if variant != "default":
    raise ValueError(f"configs/campaign.py has no variant {variant!r}")
  config = common.defaults()
  config.name = "campaign"
  config.model = "auto"  # the best on held-out labels; "paper" for the strategies mcle and lal
  config.mcle.prior = "knowledge_source"  # real search results are not at hand

  campaign = config.campaign = ConfigDict()
  campaign.title = "Mark the actions"
  campaign.videos = ""  # required: folders and files, with commas between
  campaign.ids = "name"  # or "path": with the names of the folders, as extract_features --ids=path
  campaign.ask = "labels"  # each video's own labels; or "all": every class in every video
  campaign.labels = ""  # required by "labels": JSON, csv, or annotations (annotation/intended.py)
  campaign.num_classes = 0  # draws so many of the labels' classes; 0: all
  campaign.classes = ""  # JSON with instructions and an example of each class; "all" needs it
  # Of a class that `classes` does not name.
  campaign.instructions = "Mark the start and the end of every instance of the action."
  campaign.gold = ""  # annotations of videos that measure the annotators (policy.gold_before)
  campaign.strategy = "uncertainty"  # or random, margin; mcle, lal with model = "paper"
  campaign.num_initial = 0  # videos of the first round, at random; 0: initial_ratio (Sec. 4.1)
  campaign.max_videos = 0  # the most to label; 0: budget_ratio
  campaign.num_rounds = 0  # the most rounds; 0: as many as the budget has
  # The share of a round's videos that must be decided before the next one opens, rounded down to a
  # number of videos, one at least: 9 of 10, 4 of 5, 1 of 2. What is decided later trains the round
  # after; the last round waits for all. 1: nobody is ahead of anybody.
  campaign.round_quorum = 0.9
  # What whoever has no task gets while the learner trains: "next": what comes next in the last
  # ranking, as the first videos of the round after; or "wait": nothing until that one is chosen.
  campaign.while_training = "next"
  campaign.slots_per_label = 16  # instances of a class in a video that the learner can hold  [open]
  campaign.suggestions = False  # shows the model's detections to annotators: they bias
  campaign.policy = ConfigDict(Policy()._asdict())  # annotators a task, agreement, leases, gold

  campaign.oracle = "local"  # or simulated, mturk, label_studio: tal_jax/annotation/oracles
  campaign.local = _settings(LocalSettings, annotators=("annotator 1", "annotator 2",
                                                         "annotator 3"))
  campaign.simulated = _settings(SimulatedSettings, annotations="")
  # No real money unless it says so; never more than the budget, rewards and fees in US cents.
  campaign.mturk = _settings(TurkSettings, budget_cents=0)
  campaign.label_studio = _settings(LabelStudioSettings)

  campaign.host = "127.0.0.1"  # "0.0.0.0": all of this machine's addresses; then set `address`
  campaign.port = 8000
  campaign.address = ""  # http(s)://NAME[:PORT][/FOLDER] by which people reach it; "": host, port
  campaign.poll_seconds = 2.0  # from one look at the answers to the next
  campaign.proxy_height = 480  # pixels of the shorter side of what browsers play
  campaign.serve_when_done = True  # keeps the pages up after the last round, to look and correct

  data = config.data
  data.features = ""  # required
  data.features_format = "auto"
  data.feature_key = ""
  data.fps, data.stride, data.window = 0.0, 0.0, 0.0  # 0: as stored with the features
  data.proposals = ""  # "" draws sliding windows
  data.proposals_format = "auto"
  # The most proposals of a video: of a file the best, of windows the longest lengths; 0: all. The
  # pool has room for as many in each video as in the largest, and "auto" compares each two of one.
  data.num_proposals = 4000
  data.windows = ConfigDict({"shortest": 2.0, "longest": 0.0, "ratio": 1.4, "overlap": 0.75})
  data.annotations = ""  # of Testing and Knowledge-Source
  data.annotations_format = "auto"
  data.testing_subset = ""  # "": no Testing
  data.knowledge_subset = ""  # "": no Knowledge-Source
  data.allow_missing = False
  return config


def _settings(kind: type[msgspec.Struct], **required) -> ConfigDict:
  """An oracle's settings with their defaults; the address is the campaign's."""
  fields = {field.name: required.get(field.name, field.default)
            for field in msgspec.structs.fields(kind) if field.name != "address"}
  return ConfigDict(fields)
