"""Benchmark problems whose best hyperparameters are known, as ordinary training functions."""
