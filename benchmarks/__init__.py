"""Measures what Ramet costs: `python -m benchmarks`, or `python benchmarks/run.py`."""
