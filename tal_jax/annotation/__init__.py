"""Annotation campaigns: human answers to what the active learner asks [paper, Sec. 3.3 and 5.1]."""
