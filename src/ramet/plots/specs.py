"""The plots as plain data that plotly draws, in Python or in a page: dicts with ``data`` and ``layout``, fit for JSON.

plotly itself is not needed for them.
"""

from __future__ import annotations

from ramet.plots.alike import plot
from ramet.plots.traced import traced

lineage = plot("lineage", traced)
envelope = plot("envelope", traced)
schedules = plot("schedules", traced)
exploits = plot("exploits", traced)
replacements = plot("replacements", traced)
parameters = plot("parameters", traced)
diversity = plot("diversity", traced)
slots = plot("slots", traced)
parallel = plot("parallel", traced)
