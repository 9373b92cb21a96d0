"""The plots for paper: each returns a figure of matplotlib, which belongs to no window and no global state.

>>> import tempfile, ramet
>>> def train(config):
...     for step in range(1, 9):
...         ramet.report({"loss": config["lr"] / step}, checkpoint=ramet.Checkpoint.from_dict({"step": step}))
>>> grid = ramet.Tuner(
...     train,
...     param_space={"lr": ramet.loguniform(1e-3, 1)},
...     tune_config=ramet.TuneConfig(metric="loss", mode="min", num_samples=4, seed=1),
...     run_config=ramet.RunConfig(storage_path=tempfile.mkdtemp(), verbose=0),
... ).fit()
>>> from ramet.plots import paper
>>> paper.envelope(grid).savefig(tempfile.mkdtemp() + "/envelope.pdf")
"""

from __future__ import annotations

from ramet.plots.alike import plot
from ramet.plots.printed import printed

lineage = plot("lineage", printed)
envelope = plot("envelope", printed)
schedules = plot("schedules", printed)
exploits = plot("exploits", printed)
replacements = plot("replacements", printed)
parameters = plot("parameters", printed)
diversity = plot("diversity", printed)
slots = plot("slots", printed)
parallel = plot("parallel", printed)
