"""The point detector: a small anchor-free network on frame-level features.

    levels       the pyramid: its strides, its points, which lengths each level is for
    network      rows -> logits and offsets of every point
    assignment   which point learns which truth
    losses       focal loss of the classes, DIoU loss of the bounds
    decoding     points -> segments
    scoring      a pool through the network, in windows of few lengths
    detector     `Point`, the localisation model that the learner knows

Source: ActionFormer (Zhang, Wu, Li, ECCV 2022) and TemporalMaxer (Tang et al., 2023) for the
pyramid, the heads, the assignment and the losses; sizes and training are ours, for five to a few
hundred labelled videos. The paper has no such model: its Sec. 5 trains SSN instead.
"""
