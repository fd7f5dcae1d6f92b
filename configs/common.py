"""Defaults that all experiments share. A config file changes what its experiment changes.

Fields marked [open] are not given by the paper: the value is ours.
"""

from ml_collections import ConfigDict


def defaults() -> ConfigDict:
  config = ConfigDict()
  config.strategies = ("random", "uncertainty", "mcle", "lal")  # Fig. 3
  config.seeds = 3  # their number; seed i draws its own split, first labels and noise  [open]
  config.batch_size = 64  # Sec. 4.2
  config.initial_ratio = 0.1  # Sec. 4.1
  config.budget_ratio = 1.0  # Sec. 4.1: until 100 %
  # "paper": its stage-wise model; "stage_wise": the same with a second stage; "frames": rows
  # classified and grouped; "point": the detector; "auto": the best of the last three on held-out
  # labels.
  config.model = "paper"
  config.top_k = 10  # Sec. 3.1
  config.encoder = "context"  # or "mean", the paper's
  config.tensorboard = False  # needs the extra `tensorboard`

  config.svm = ConfigDict()
  config.svm.c = 0.01  # [open]
  config.svm.loss = "squared_hinge"  # or "hinge"  [open]
  config.svm.tol = 1e-4  # relative duality gap  [open]

  config.attention = ConfigDict()
  config.attention.positive_tiou = 0.7  # Sec. 3.1
  config.attention.nms_threshold = 0.5  # tIoU, before the top-k; 1 means no NMS  [open]

  config.classifier = ConfigDict()
  config.classifier.c = 1.0  # [open]
  config.classifier.max_iters = 300  # of L-BFGS, at most  [open]
  config.classifier.score = "product"  # attention * softmax, or "classifier"  [open]

  # None of the other models is the paper's. `stage_wise` also has svm, attention and classifier.
  config.stage_wise = ConfigDict()
  config.stage_wise.num_kept = 30  # segments per video
  config.stage_wise.second_stage = True
  config.stage_wise.folds = 4  # of the labelled videos, for out-of-fold scores; 0: none
  config.stage_wise.sharpening = 0.5  # 0: none
  config.stage_wise.nms_sigma = 0.3  # of soft-NMS; 0: hard NMS at attention.nms_threshold
  config.stage_wise.voting = 3.0  # strength of the neighbours' bounds; 0: none
  config.stage_wise.average_classes = True  # over neighbours
  config.stage_wise.all_positives = True  # the classifier's rows; False: those in the top 10
  config.stage_wise.whitened = True  # the classifier's features
  config.stage_wise.classifier_c = 0.1
  config.stage_wise.instances_per_dim = 0.15  # of the discriminant's share; 0: the SVM alone
  config.stage_wise.exponent = 0.7  # of the confidence in the score

  config.frames = ConfigDict()
  config.frames.context = "conv"  # dilated convolutions, or "linear"
  config.frames.width = 64
  config.frames.steps = 600
  config.frames.batch_size = 8
  config.frames.learning_rate = 2e-3
  config.frames.longest_crop = 1024  # rows
  config.frames.soft_nms_sigma = 0.5

  config.point = ConfigDict()
  config.point.context = "conv"  # or "maxpool" (TemporalMaxer), "transformer" (ActionFormer)
  config.point.width = 64
  config.point.members = 3  # networks whose outputs are averaged; as many times the seconds
  # The steps are a rule, no search on held-out labels: tal_jax/models/point/detector.py.
  config.point.steps = 400  # of a training from nothing
  config.point.warm_steps = 100  # of a round that starts from the last one's weights; 0: never
  config.point.batch_size = 8
  config.point.learning_rate = 2e-3
  config.point.longest_crop = 1024  # rows
  config.point.soft_nms_sigma = 0.5

  config.oracle = ConfigDict()
  config.oracle.noise = 0.0  # p: answers have a mean tIoU of 1 - p (Sec. 4.2)
  config.oracle.noise_sigma = 0.0  # [open]

  config.lal = ConfigDict()
  config.lal.artifact = ""  # path of a selector made by experiments.train_lal; "" trains one
  config.lal.labeled_sizes = (10, 25, 50, 100)  # tau  [open]
  config.lal.episodes_per_size = 16  # Q  [open]
  config.lal.extras_per_episode = 24  # M  [open]
  config.lal.num_bins = 10  # of the confidence histogram  [open]
  config.lal.held_out_ratio = 0.5  # of Knowledge-Source  [open]
  config.lal.cs = (0.1, 1.0, 10.0)  # SVR's C, cross-validated  [open]
  config.lal.gamma_factors = (0.3, 1.0, 3.0)  # kernel widths, cross-validated  [open]
  config.lal.epsilon = 0.1  # of the SVR  [open]

  config.mcle = ConfigDict()
  config.mcle.prior = "search"  # or "knowledge_source"
  config.mcle.precision = 0.8  # of the simulated video search  [open]
  config.mcle.results_per_class = 10  # [open]

  config.data = ConfigDict()
  config.data.seed = 0  # added to the number of the seed
  config.data.normalize = "standardize"  # or "l2", "none"  [open]
  config.data.dtype = "float32"  # or "float16", "bfloat16"
  config.data.storage = ""  # a folder: features in memory-mapped files there, larger than memory
  return config
