"""One socket between the controller and a worker: whole messages in, whole messages out.

A message is its length and a pickle. What is said at every boundary is told as plain tuples, which pickle at a third of
the cost of named ones.
"""

from __future__ import annotations

import pickle
import select
import socket
from collections.abc import Callable
from typing import Any

from ramet.core.messages import Assignment, Block, Handover, Lease, StoredCheckpoint

_HEAD = 8
_CHUNK = 1 << 16
_STORED = Block._fields.index("stored")


class Wire:
    """One end of a connected socket."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._room = memoryview(bytearray(_CHUNK))  # a new one each time would cost its pages each time
        self._left = b""  # what came with the last message, and belongs to the next one
        self._poll = select.poll()
        self._poll.register(end.fileno(), select.POLLIN)

    def fileno(self) -> int:
        """Return the socket's descriptor."""
        return self._end.fileno()

    def send(self, message: bytes) -> None:
        """Send a message, whole.

        Raises:
            OSError: nobody listens any more.
        """
        head = len(message).to_bytes(_HEAD, "little")
        if len(message) < _CHUNK:
            self._end.sendall(head + message)
        else:
            self._end.sendall(head)
            self._end.sendall(message)

    def receive(self) -> bytes | memoryview:
        """Wait for the next message, and return it.

        Raises:
            EOFError, OSError: the other end is gone.
        """
        data = self._left or self._more()
        while len(data) < _HEAD:
            data += self._more()
        end = _HEAD + int.from_bytes(data[:_HEAD], "little")
        if len(data) >= end:
            self._left = data[end:]
            return data[_HEAD:end]
        whole = memoryview(bytearray(end))
        whole[: len(data)] = data
        self._left, at = b"", len(data)
        while at < end:
            came = self._end.recv_into(whole[at:])
            if not came:
                raise EOFError
            at += came
        return whole[_HEAD:]

    def _more(self) -> bytes:
        came = self._end.recv_into(self._room)
        if not came:
            raise EOFError
        return bytes(self._room[:came])

    @property
    def holds_more(self) -> bool:
        """Whether the next message, or its beginning, has come already: then the socket may stay silent."""
        return bool(self._left)

    def waits(self, seconds: float) -> bool:
        """Return whether there is something to receive, be it the end, at the latest after ``seconds``."""
        return bool(self._left or self._poll.poll(1000 * seconds))

    def close(self) -> None:
        """Hang up."""
        self._end.close()


def told(message: Any, dumps: Callable[..., bytes] = pickle.dumps) -> bytes:
    """Return a message as bytes: a handover, or a tuple that begins with a verb."""
    if isinstance(message, Handover):
        message = ("handover", message.work, tuple(map(_flat, message.blocks)), *message[2:])
    return dumps(message, protocol=5)


def heard(message: tuple[Any, ...]) -> Handover:
    """Return the handover that was told."""
    _, work, blocks, *more = message
    return Handover(work, tuple(map(_block, blocks)), *more)


def _flat(block: Block) -> tuple[Any, ...]:
    return (*block[:_STORED], None if block.stored is None else tuple(block.stored), *block[_STORED + 1 :])


def _block(flat: tuple[Any, ...]) -> Block:
    stored = flat[_STORED]
    kept = None if stored is None else StoredCheckpoint(*stored)
    return Block._make((*flat[:_STORED], kept, *flat[_STORED + 1 :]))


def flat_assignment(assignment: Assignment) -> tuple[Any, ...]:
    """Return an assignment as plain tuples."""
    checkpoint = assignment.checkpoint
    flat = assignment._replace(
        checkpoint=None if checkpoint is None else tuple(checkpoint),  # type: ignore[arg-type]
        lease=tuple(assignment.lease),  # type: ignore[arg-type]
    )
    return tuple(flat)


def assignment_of(flat: tuple[Any, ...]) -> Assignment:
    """Return the assignment of `flat_assignment`."""
    given = Assignment(*flat)
    stored = None if given.checkpoint is None else StoredCheckpoint(*given.checkpoint)
    return given._replace(checkpoint=stored, lease=Lease(*given.lease))
