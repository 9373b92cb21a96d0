"""Messages between controller and workers: whole, of any size, and an end that is noticed."""

import os
import socket
import threading

import pytest

from ramet.executor.wire import CHUNK, Wire


@pytest.fixture
def ends():
    """Two ends of one socket."""
    here, there = (Wire(end.detach()) for end in socket.socketpair())
    yield here, there
    here.close()
    there.close()


@pytest.mark.parametrize("size", [0, 1, 1000, CHUNK - 1, CHUNK, 5 * CHUNK + 1])
def test_messages_arrive_whole_and_in_order(ends, size):
    here, there = ends
    sent = [os.urandom(size), b"and another"]
    sender = threading.Thread(target=lambda: [here.send_bytes(each) for each in sent])
    sender.start()

    assert [there.recv_bytes() for _ in sent] == sent
    sender.join()


def test_what_can_be_received_is_told_an_end_included(ends):
    here, there = ends
    assert not there.poll(0)
    here.send_bytes(b"x")
    assert there.poll(0)
    there.recv_bytes()
    assert not there.poll(0.01)
    here.close()
    assert there.poll(0)


def test_an_end_is_an_error_in_the_middle_of_a_message_too(ends):
    here, there = ends
    os.write(here.fileno(), bytes(7) + b"\x05" + b"four")
    here.close()

    with pytest.raises(EOFError):
        there.recv_bytes()
    with pytest.raises(OSError, match="Broken pipe"):
        there.send_bytes(b"x")


def test_a_closed_end_touches_no_file_that_has_its_number_now(ends):
    here, _ = ends
    number = here.fileno()
    here.close()
    here.close()

    assert here.fileno() == -1 != number
    with pytest.raises(OSError, match="Bad file descriptor"):
        here.send_bytes(b"x")
