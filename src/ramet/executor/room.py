"""Whether an error means that the disk is full, which passes by itself as soon as somebody makes room."""

from __future__ import annotations

import errno
import shutil

from ramet.errors import DiskFullError

ROOM_SECONDS = 1.0
"""How long a worker waits before it tries again to save."""

_NUMBERS = (errno.ENOSPC, errno.EDQUOT)


def lacks_room(error: BaseException) -> bool:
    """Return whether ``error`` says that no room, or no quota, is left.

    >>> lacks_room(OSError(errno.ENOSPC, "No space left on device")), lacks_room(FileNotFoundError())
    (True, False)
    """
    if isinstance(error, shutil.Error):  # of a tree that was copied: only the text of each file's error is kept
        return any(f"[Errno {number}]" in str(error) for number in _NUMBERS)
    return isinstance(error, DiskFullError) or (isinstance(error, OSError) and error.errno in _NUMBERS)
