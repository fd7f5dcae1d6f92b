"""Pooled proposal features as a TensorFlow Datasets builder, without TensorFlow.

    settings   what a build depends on, and where each data set looks for its files
    inputs     annotations, features and proposals, opened and validated
    hapt       HAPT from the archive as it is downloaded
    parts      pools the videos in parallel; what is done survives a killed build
    builder    `TemporalLocalization`: from there to array_record
    reader     the source `tfds`: from array_record back to RawData
    checksums  SHA-256 of what went in and of what came out
"""
