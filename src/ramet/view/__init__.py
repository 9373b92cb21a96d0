"""Readers: what a run looks like, on a terminal and in pictures. They never touch the tuner or an executor."""
