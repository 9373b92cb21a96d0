"""Messages between controller and workers: whole, of any size, and an end that is noticed."""

import os
import pickle
import socket
import threading

import pytest

from ramet.core.messages import Assignment, Block, Handover, Lease, StoredCheckpoint
from ramet.executor.wire import CHUNK, Wire, assignment_of, flat_assignment, heard, told


@pytest.fixture
def ends():
    """Two ends of one socket."""
    here, there = (Wire(end.detach()) for end in socket.socketpair())
    yield here, there
    here.close()
    there.close()


@pytest.mark.parametrize("size", [0, 1, 1000, CHUNK - 9, CHUNK - 8, CHUNK - 1, CHUNK, 5 * CHUNK + 1])
def test_messages_arrive_whole_and_in_order(ends, size):
    """A message of any size is the one that was sent, and so are those before and behind it."""
    here, there = ends
    sent = [b"one", os.urandom(size), b"and another", os.urandom(size)]
    sender = threading.Thread(target=lambda: [here.send(each) for each in sent])
    sender.start()
    assert [there.receive() for _ in sent] == sent
    sender.join()
    assert not there.holds_more


def test_what_came_with_another_message_is_not_forgotten(ends):
    """Two messages in one read are two messages, though the socket is silent after the first."""
    here, there = ends
    here.send(b"first")
    here.send(b"second")
    assert there.receive() == b"first"
    assert there.holds_more
    assert there.waits(0)
    assert there.receive() == b"second"
    assert not there.waits(0)


def test_what_can_be_received_is_told_an_end_included(ends):
    """Nothing there, a message, nothing again, the end: each is told without waiting."""
    here, there = ends
    assert not there.waits(0)
    here.send(b"x")
    assert there.waits(0)
    there.receive()
    assert not there.waits(0.01)
    here.close()
    assert there.waits(0)


@pytest.mark.parametrize(
    "part", [b"\x05\0\0\0", (5).to_bytes(8, "little") + b"four", (CHUNK * 2).to_bytes(8, "little")]
)
def test_an_end_is_an_error_in_the_middle_of_a_message_too(ends, part):
    """Half a head or half a message before the end is no message, and nobody is sent anything then."""
    here, there = ends
    os.write(here.fileno(), part)
    here.close()
    with pytest.raises(EOFError):
        there.receive()
    with pytest.raises(OSError, match="Broken pipe"):
        there.send(b"x")


def test_a_closed_end_touches_no_file_that_has_its_number_now(ends):
    """Closing twice closes once, and what is sent then goes nowhere."""
    here, _ = ends
    number = here.fileno()
    here.close()
    here.close()
    assert here.fileno() == -1 != number
    with pytest.raises(OSError, match="Bad file descriptor"):
        here.send(b"x")


def test_what_is_told_is_what_is_heard():
    """A handover and an assignment come out as they went in, each part of its own kind."""
    stored = StoredCheckpoint("pickle", b"x", None, 1)
    with_one = Block(
        1, 2, {"a": 1.0}, b"rows", b"times", 0.5, 2.0, 0.25, stored, ("state",), True, (1, 500, 250, 125, 9000)
    )
    handover = Handover(7, (with_one, with_one._replace(stored=None)), True, "over", None, "report", True, "trouble")
    other = heard(pickle.loads(told(handover)))
    assert repr(other) == repr(handover)
    for checkpoint in (None, stored):
        assignment = Assignment(1, 2, 3, 4, {"lr": 0.1}, checkpoint, Lease(5.0, 6.0, True), 7.0, 8, (9,))
        assert repr(assignment_of(pickle.loads(told(flat_assignment(assignment))), "/")) == repr(assignment)
