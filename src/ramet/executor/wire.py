"""Whole messages over one end of a socket: their length, then their bytes.

What `multiprocessing.connection` does, without what it imports: a worker has to start quickly.
"""

from __future__ import annotations

import os
import select
import struct

CHUNK = 1 << 20
"""Bytes that are read at once, at most; messages from there on are sent in two parts."""

_LENGTH = struct.Struct("!Q")


class Wire:
    """One end of a socket, by its descriptor, which it closes. What is sent is received whole, or not at all."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)

    def fileno(self) -> int:
        """Return the descriptor, -1 once it is closed."""
        return self._descriptor

    def send_bytes(self, data: bytes) -> None:
        """Send one message; wait while the other end is full.

        Raises:
            OSError: the other end is gone.
        """
        length = _LENGTH.pack(len(data))
        for part in (length + data,) if len(data) < CHUNK else (length, data):  # what is large is not copied
            left = memoryview(part)
            while left:
                left = left[os.write(self._descriptor, left) :]

    def recv_bytes(self) -> bytearray:
        """Wait for one message.

        Raises:
            EOFError: the other end is gone, be it in the middle of a message.
            OSError: the same.
        """
        return self._read(*_LENGTH.unpack(self._read(_LENGTH.size)))

    def _read(self, size: int) -> bytearray:
        data = bytearray()
        while len(data) < size:
            came = os.read(self._descriptor, min(size - len(data), CHUNK))
            if not came:
                raise EOFError("the other end is gone")
            data += came
        return data

    def poll(self, seconds: float) -> bool:
        """Return whether there is something to receive, an end included; wait up to ``seconds`` for it."""
        return bool(self._poll.poll(1000 * seconds))

    def close(self) -> None:
        """Hang up."""
        descriptor, self._descriptor = self._descriptor, -1  # the number may soon be another file's
        if descriptor >= 0:
            self._poll.unregister(descriptor)
            os.close(descriptor)
