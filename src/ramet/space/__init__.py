"""The search space: the one door to domains, their constructors, nested configurations and ``Space``.

`ramet.nested` reads and changes configurations; ``founders`` makes one initial configuration; ``space`` is the whole.
"""

from __future__ import annotations

from ramet.domains import (
    FACTORS,
    Call,
    Categorical,
    Domain,
    Factors,
    Float,
    GridSearch,
    Integer,
    Normal,
    Ordered,
    Sampled,
    SampleFrom,
    call_plainly,
    plain,
)
from ramet.domains.constructors import (
    choice,
    domain_from_plain,
    grid_search,
    lograndint,
    loguniform,
    qlograndint,
    qloguniform,
    qrandint,
    qrandn,
    quniform,
    randint,
    randn,
    sample_from,
    uniform,
)
from ramet.nested import Path, copied, flatten, get, leaves, with_values
from ramet.space.space import Space

__all__ = [
    "FACTORS",
    "Call",
    "Categorical",
    "Domain",
    "Factors",
    "Float",
    "GridSearch",
    "Integer",
    "Normal",
    "Ordered",
    "Path",
    "SampleFrom",
    "Sampled",
    "Space",
    "call_plainly",
    "choice",
    "copied",
    "domain_from_plain",
    "flatten",
    "get",
    "grid_search",
    "leaves",
    "lograndint",
    "loguniform",
    "plain",
    "qlograndint",
    "qloguniform",
    "qrandint",
    "qrandn",
    "quniform",
    "randint",
    "randn",
    "sample_from",
    "uniform",
    "with_values",
]
