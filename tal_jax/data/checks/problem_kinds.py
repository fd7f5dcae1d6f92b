"""The kinds of problem that a user's data can have: what each means, and how it is mended.

Severities:
  fatal    the run would stop later, or give results that are wrong. It does not start.
  warning  the run goes on; the kind's entry in KINDS says what is done about it.
  note     by design, most likely; said so that nothing is left out in silence.
"""

from __future__ import annotations

from typing import NamedTuple

FATAL, WARNING, NOTE = "fatal", "warning", "note"


class Kind(NamedTuple):
  """A kind of problem."""

  severity: str
  meaning: str  # what it is, and what is done about it
  remedy: str  # how to mend it


# Fatal kinds first, then warnings, then notes: the order of the report.
KINDS = {
    "structure": Kind(
        FATAL, "entries of the annotations or proposals that cannot be read",
        "correct these entries, or take them out of the file"),
    "duplicate id": Kind(
        FATAL, "one id, several entries or files: which one is meant?",
        "keep one of them"),
    "subset without videos": Kind(
        FATAL, "a subset that the split names does not occur",
        "set data.split.knowledge_subset, selection_subset and testing_subset to names of the "
        "file, spelled as there"),
    "no split": Kind(
        FATAL, "the three sets of data.split cannot be drawn from these annotations",
        "set data.split as the message says"),
    "bad duration": Kind(
        FATAL, "the duration is not a positive number of seconds",
        "write the video's length in seconds into the annotations, or give data.video_info"),
    "non-finite segment": Kind(
        FATAL, "a truth has a bound that is not a number",
        "correct the segment, or take the truth out"),
    "ends before starts": Kind(
        FATAL, "many truths end at or before their start",
        "write [start, end], in seconds, for each truth, as the message says"),
    "times in frames": Kind(
        FATAL, "the truths of most videos end far past their video, as frames read as seconds do",
        "divide the segments by the frames per second of each video"),
    "times not in seconds": Kind(
        FATAL, "the truths of most videos end far past their video, by more than frames would",
        "divide the segments by what the unit has in a second (milliseconds: 1000), or write the "
        "durations in seconds if these are wrong"),
    "durations in frames": Kind(
        FATAL, "the truths, or the features, fill a tiny share of the videos, as if the durations "
               "were frames (or the segments had been divided by the frame rate once too often)",
        "write seconds into 'duration': frames / fps"),
    "durations not in seconds": Kind(
        FATAL, "the truths, or the features, fill a tiny share of the videos, as if the durations "
               "were in a shorter unit, or the segments in a longer one",
        "write seconds into 'duration' and the segments"),
    "times in shares": Kind(
        FATAL, "all truths end within the first second, as shares of the video do",
        "multiply the segments by the duration"),
    "time is the second axis": Kind(
        FATAL, "the arrays of all videos look like [d, T]; features are [T, d], a row per step",
        "set data.features_format as the message says, or save array.T"),
    "one number of rows": Kind(
        FATAL, "the videos have as many rows, however long they are: no frame rate fits that",
        "set or do what the message says; frame rates and durations are not the cause"),
    "parts do not fit": Kind(
        FATAL, "the features that are put side by side have other numbers of rows in most videos",
        "give parts of one stride (the same extraction of RGB and flow), or only one of them"),
    "names of features": Kind(
        FATAL, "the features of most videos have names that differ from the ids in one way",
        "set data.features as the message says ({} stands for the id), or rename the files"),
    "names of proposals": Kind(
        FATAL, "the proposals of most videos stand under names that differ from the ids in one way",
        "rename them, in the file of the proposals or in the annotations"),
    "pickled features": Kind(
        FATAL, "the files hold pickled Python objects, which are not read: a pickle can run any "
               "code",
        "convert them where you trust them, as the message says"),
    "no features": Kind(
        FATAL, "a video of the split has no features",
        "add them, name them after the id, or set data.allow_missing=True, which takes such videos "
        "out of the split"),
    "unreadable features": Kind(
        FATAL, "the feature file is cut off, damaged or of another layout",
        "copy or extract it again"),
    "no frame rate": Kind(
        FATAL, "neither data.fps nor the video's own field 'fps' is given",
        "set data.fps to the frame rate at which the features were extracted"),
    "wrong fps": Kind(
        FATAL, "rows * stride / fps misses the durations of nearly all videos by one factor",
        "set data.fps or data.stride as the message says"),
    "wrong rank": Kind(
        FATAL, "features are [T, d], a row per time step",
        "save one row per time step; average spatial axes away"),
    "no rows": Kind(
        FATAL, "the features are [0, d]: the video has not a single row",
        "extract the video again (it may be shorter than a window of the extraction), or take it "
        "out of the split"),
    "no columns": Kind(
        FATAL, "the features are [T, 0]: the rows hold no number", "extract the video again"),
    "wrong width": Kind(
        FATAL, "all videos have features of one width d",
        "extract these videos with the network of the others, or transpose them"),
    "rows of other lengths": Kind(
        FATAL, "rows * stride / fps misses the durations of nearly all videos, and not by one "
               "factor",
        "are they the features of these videos? Were they made at each video's own frame rate "
        "(data.fps at 0, 'fps' in the annotations) or at one for all (data.fps)? Are the durations "
        "right?"),
    "row numbers as features": Kind(
        FATAL, "a column counts the rows, as an index or a column of times does; it would outweigh "
               "the features",
        "leave it out of the files (pandas: to_csv(PATH, index=False); NumPy: array[:, 1:])"),
    "one row throughout": Kind(
        FATAL, "in every video all rows are the same: they tell no time from another",
        "extract one row per time step"),
    "the same features everywhere": Kind(
        FATAL, "all videos have the very same features",
        "extract them again: did the network see the videos?"),
    "non-finite feature": Kind(
        FATAL, "NaN or infinite values in the features",
        "extract the video again"),
    "no proposals": Kind(
        FATAL, "a video of the split has no proposal inside it",
        "add some, or set data.allow_missing=True, which takes such videos out of the split"),
    "non-finite proposal": Kind(
        FATAL, "a proposal has a bound that is not a number",
        "take it out of the file"),
    "proposals in frames": Kind(
        FATAL, "the proposals of most videos end far past their video, as frames read as seconds "
               "do",
        "divide them by the frames per second of each video, or name the format that is in frames "
        "with data.proposals_format"),
    "proposals not in seconds": Kind(
        FATAL, "the proposals of most videos end far past their video, by more than frames would",
        "divide them by what the unit has in a second (milliseconds: 1000)"),
    "proposals in seconds": Kind(
        FATAL, "the proposals of all videos end within the first frames' worth of them, as seconds "
               "do that are read as frames",
        "multiply them by the frames per second of each video, or name the format that is in "
        "seconds with data.proposals_format"),
    "proposals in shares": Kind(
        FATAL, "all proposals end within the first second, as shares of the video do",
        "multiply them by the duration, or name the format that is in shares with "
        "data.proposals_format"),
    "dropped video": Kind(
        WARNING, "taken out of the split, as data.allow_missing=True asks; mAP on fewer Testing "
                 "videos does not compare with published numbers",
        "add the features or proposals"),
    "empty truth": Kind(
        WARNING, "end <= start: no proposal can match it, so it is left out of the training "
                 "truths; the metric keeps it, as the official code does",
        "correct it, or take it out; ActivityNet's own are known and best left"),
    "truth outside its video": Kind(
        WARNING, "reaches over an end of the video; kept as it stands, in training and in the "
                 "metric",
        "correct the segment or the duration; where most videos have it, check their unit"),
    "truth far past its video": Kind(
        WARNING, "ends at more than twice the duration, as frames read as seconds do, or truths of "
                 "another video; kept as it stands",
        "divide the video's segments by its frames per second, or correct its duration"),
    "frames contradict seconds": Kind(
        WARNING, "what the file gives in seconds and in frames does not fit its frame rate; the "
                 "seconds are used, and the field 'fps'",
        "find out which of the two is right, and the frame rate that belongs to it"),
    "set without truths": Kind(
        WARNING, "no video of the set has a truth: there is nothing to learn (Knowledge-Source, "
                 "Selection), or nothing to measure (Testing); experiments.simulate refuses it",
        "annotate some of its videos, or draw another split"),
    "truth without features": Kind(
        WARNING, "begins after the last row of the features, so that nothing is pooled over it",
        "extract the video to its end, or correct the truth"),
    "duplicate truth": Kind(
        WARNING, "the same label and, to a millisecond, the same segment several times in a video; "
                 "kept, as the official code keeps it (all but one count as missed)",
        "take the copies out, if the numbers need not compare with the official ones"),
    "label that is no class": Kind(
        WARNING, "protocols have such labels for what does not count (THUMOS14's Ambiguous); it is "
                 "learnt and found like any class",
        "leave it out with data.no_class=NAME (configs/files.py), or take it out of the file, if "
        "it is no class"),
    "labels alike": Kind(
        WARNING, "classes whose names differ in case, blanks, signs or Unicode form alone; each is "
                 "a class",
        "spell them alike, if they are one"),
    "class without instances": Kind(
        WARNING, "nothing to learn from, or nothing to find",
        "check the labels' spelling; else leave the class out of the split"),
    "subset spelling": Kind(
        WARNING, "a subset of the split under another spelling; the video is not used",
        "spell the subset alike for all videos, or list all spellings in data.split.*_subset"),
    "ids differ by v_": Kind(
        WARNING, "found only after the prefix 'v_' was added or taken off; used, but other code "
                 "will not find it",
        "rename the files, or the ids, alike"),
    "features without annotation": Kind(
        WARNING, "not used",
        "annotate the videos, check the spelling of these ids, or delete the files"),
    "features do not span the video": Kind(
        WARNING, "rows * stride / fps is far from the duration; used as they stand",
        "extract the video again, or correct its duration or frame rate"),
    "all-zero features": Kind(
        WARNING, "rows of zeros, as padding or a failed extraction leaves them; used as they stand",
        "extract the video again, or cut the padding off"),
    "constant features": Kind(
        WARNING, "all rows of the video are the same; used as they stand",
        "extract the video again"),
    "same features": Kind(
        WARNING, "videos with the very same features: copies of one video, or of one file; used as "
                 "they stand",
        "extract the videos again, or take the copies out"),
    "very long videos": Kind(
        WARNING, "durations of many hours, as milliseconds read as seconds are; used as they stand",
        "divide the durations and the segments by 1000, if they are milliseconds"),
    "proposals outside the video": Kind(
        WARNING, "clipped to [0, duration]; those of which nothing is left, or with end <= start, "
                 "are dropped",
        "correct the duration or the proposals; where most videos have it, check their unit"),
    "proposals without annotation": Kind(
        WARNING, "not used",
        "annotate the videos, or check the spelling of these ids"),
    "fault of an unused video": Kind(
        NOTE, "it would be fatal if the split used the video",
        "correct it before the video is used"),
    "unknown subset": Kind(
        NOTE, "the split does not name this subset; the video is not used",
        "name it in data.split.*_subset if it is to be used"),
    "index column": Kind(
        NOTE, "a column that a writer of csv added, pandas' index say: left out of the features",
        "nothing; or write the files without it"),
    "in no set": Kind(
        NOTE, "the split leaves the video out, e.g. a Testing video of a Knowledge-Source class; "
              "not used",
        "nothing, unless data.split was meant otherwise"),
}


# Faults of a whole set, and the small ones that follow from them: these would lead astray.
_OUTSIDE = ("truth outside its video", "truth far past its video")
_LENGTHS = ("features do not span the video", "truth without features")
CONSEQUENCES = {
    "ends before starts": ("empty truth", "set without truths"),
    "names of proposals": ("no proposals",),
    "times in frames": _OUTSIDE, "times not in seconds": _OUTSIDE,
    "durations in frames": _LENGTHS, "durations not in seconds": _LENGTHS,
    "time is the second axis": (*_LENGTHS, "wrong width", "no frame rate", "constant features",
                                "row numbers as features", "one row throughout"),
    "one number of rows": (*_LENGTHS, "no frame rate", "all-zero features"),
    "rows of other lengths": _LENGTHS,
    "the same features everywhere": ("same features", "constant features", "one row throughout"),
    "one row throughout": ("constant features",),
    "proposals in frames": ("proposals outside the video", "no proposals"),
    "proposals not in seconds": ("proposals outside the video", "no proposals"),
}
