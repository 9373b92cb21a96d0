"""Public suites: whoever writes an executor or a strategy subclasses one, and knows that it keeps its promises.

`story` is what two runs are compared by.
"""

from ramet.testing.executors import ExecutorSuite
from ramet.testing.story import story
from ramet.testing.strategies import StrategySuite

__all__ = ["ExecutorSuite", "StrategySuite", "story"]
