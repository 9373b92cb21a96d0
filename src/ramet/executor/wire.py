"""One end of the socket between the controller and a worker: whole messages in, whole messages out.

A message is its length and a pickle. What is said at every boundary is told as plain tuples, which pickle at a third of
the cost of named ones. What `multiprocessing.connection` does is done here without what it imports, and in one read: a
worker has to start quickly, and to be answered quickly.
"""

from __future__ import annotations

import os
import pickle
import select
from collections.abc import Callable
from typing import Any

from ramet.core.messages import Assignment, Block, Handover, Lease, StoredCheckpoint

CHUNK = 1 << 16
"""Bytes that are read at once; messages from there on are sent in two parts."""

_HEAD = 8
_STORED = Block._fields.index("stored")


class Wire:
    """One end of a socket, by its descriptor, which it closes. What is sent is received whole, or not at all."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._room = memoryview(bytearray(CHUNK))  # a new one each time would cost its pages each time
        self._left = b""  # what came with the last message, and belongs to the next one
        self._held = b""
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)

    def fileno(self) -> int:
        """Return the descriptor, -1 once it is closed."""
        return self._descriptor

    def hold(self, message: bytes) -> None:
        """Let a small message go with the next one, or when it is released: two in one wake the other end once."""
        self._held += len(message).to_bytes(_HEAD, "little") + message

    def release(self) -> None:
        """Send what was held.

        Raises:
            OSError: the other end is gone.
        """
        held, self._held = self._held, b""
        if held:
            self._write(held)

    def send(self, message: bytes) -> None:
        """Send one message; wait while the other end is full.

        Raises:
            OSError: the other end is gone.
        """
        head, self._held = self._held + len(message).to_bytes(_HEAD, "little"), b""
        for part in (head + message,) if len(message) < CHUNK else (head, message):  # what is large is not copied
            self._write(part)

    def _write(self, data: bytes) -> None:
        sent = os.write(self._descriptor, data)
        while sent < len(data):
            sent += os.write(self._descriptor, memoryview(data)[sent:])

    def receive(self) -> bytes | memoryview:
        """Wait for the next message, and return it.

        Raises:
            EOFError: the other end is gone, be it in the middle of a message.
            OSError: the same.
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
            at += self._read(whole[at:])
        return whole[_HEAD:]

    def _more(self) -> bytes:
        return bytes(self._room[: self._read(self._room)])

    def _read(self, into: memoryview) -> int:
        came = os.readv(self._descriptor, [into])
        if not came:
            raise EOFError("the other end is gone")
        return came

    @property
    def holds_more(self) -> bool:
        """Whether the next message, or its beginning, has come already: then the socket may stay silent."""
        return bool(self._left)

    def waits(self, seconds: float) -> bool:
        """Return whether there is something to receive, be it the end; wait up to ``seconds`` for it."""
        return bool(self._left or self._poll.poll(1000 * seconds))

    def close(self) -> None:
        """Hang up."""
        descriptor, self._descriptor = self._descriptor, -1  # the number may soon be another file's
        if descriptor >= 0:
            self._poll.unregister(descriptor)
            os.close(descriptor)


def told(message: Any, dumps: Callable[..., bytes] = pickle.dumps) -> bytes:
    """Return a message as bytes: a handover, or a tuple."""
    return dumps(flat(message) if isinstance(message, Handover) else message, protocol=5)


def flat(handover: Handover) -> tuple[Any, ...]:
    """Return a handover as plain tuples."""
    return ("handover", handover.work, tuple(map(_flat, handover.blocks)), *handover[2:])


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


def assignment_of(flat: tuple[Any, ...], store: str) -> Assignment:
    """Return the assignment of `flat_assignment`; a checkpoint whose path is relative lies in the folder ``store``."""
    given = Assignment(*flat)
    stored = None if given.checkpoint is None else StoredCheckpoint(*given.checkpoint)
    if stored is not None and stored.path is not None:
        stored = stored._replace(path=os.path.join(store, stored.path))
    return given._replace(checkpoint=stored, lease=Lease(*given.lease))
