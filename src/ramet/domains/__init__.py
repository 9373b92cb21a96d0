"""Domains: what a hyperparameter may be, and every way to move within it.

Strategies know ``Domain`` alone (``base``). The kinds are numbers (``numbers``), lists (``lists``) and whatever a
function returns (``sampled``); a grid_search and a sample_from (``initial``) give initial values and are no domains.
Users make them with the constructors (``constructors``), which ``ramet.space`` offers.
"""

from __future__ import annotations

from ramet.domains.base import FACTORS as FACTORS
from ramet.domains.base import Call as Call
from ramet.domains.base import Domain as Domain
from ramet.domains.base import Factors as Factors
from ramet.domains.base import call_plainly as call_plainly
from ramet.domains.base import holds_domain as holds_domain
from ramet.domains.initial import GridSearch as GridSearch
from ramet.domains.initial import SampleFrom as SampleFrom
from ramet.domains.lists import Categorical as Categorical
from ramet.domains.lists import Ordered as Ordered
from ramet.domains.numbers import ZERO_SCALE as ZERO_SCALE
from ramet.domains.numbers import Float as Float
from ramet.domains.numbers import Integer as Integer
from ramet.domains.numbers import Normal as Normal
from ramet.domains.sampled import Sampled as Sampled
from ramet.domains.values import plain as plain
