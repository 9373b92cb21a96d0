"""The check that tells a function that does not repeat what differs."""

import random

import pytest

import ramet
from ramet.errors import ConfigError, MemberError
from ramet.testing.executors import counting


def _state_in_the_checkpoint(config):
    checkpoint = ramet.get_checkpoint()
    total = checkpoint.to_dict()["total"] if checkpoint else 0.0
    while True:
        total += random.random()
        ramet.report({"total": total}, checkpoint=ramet.Checkpoint.from_dict({"total": total}))


def _draws_after_reading(config):
    checkpoint = ramet.get_checkpoint()
    total = checkpoint.to_dict()["total"] if checkpoint else 0.0
    random.random()
    while True:
        total += random.random()
        ramet.report({"total": total}, checkpoint=ramet.Checkpoint.from_dict({"total": total}))


def _own_generator(config):
    generator = random.Random()
    while True:
        ramet.report({"total": generator.random()}, checkpoint=ramet.Checkpoint.from_dict({}))


@pytest.mark.parametrize(
    ("function", "starts"),
    [(counting, []), (_state_in_the_checkpoint, []), (_draws_after_reading, [10]), (_own_generator, [0, 10])],
)
def test_what_differs_is_told(function, starts):
    """A function that repeats has no differences; one that does not has them where its habit shows."""
    found = ramet.check_repeatable(function, {})
    assert [difference.start for difference in found] == starts
    assert all("differs in total" in str(difference) for difference in found)


def test_functions_that_fail_say_so():
    """An error of the function is not taken for a difference."""

    def train(config):
        raise ValueError("no data")

    with pytest.raises(MemberError, match="no data"):
        ramet.check_repeatable(train, {})
    with pytest.raises(ConfigError, match="reports=0"):
        ramet.check_repeatable(counting, {}, reports=0)
