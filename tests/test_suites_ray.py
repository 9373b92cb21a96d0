"""The Ray executor passes the same public suite as every other."""

import pytest

import ramet
from ramet.testing import ExecutorSuite

ray = pytest.importorskip("ray", reason="Ray is not installed")


@pytest.fixture(autouse=True, scope="module")
def cluster():
    """A cluster of this machine for all tests of the suite."""
    ray.init(address="local", num_cpus=8, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


class TestRay(ExecutorSuite):
    def make(self, slots):
        return ramet.RayExecutor(slots)
