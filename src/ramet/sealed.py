"""Files beside the ledger: written so that after a power cut there is the old one or the new one, and sealed.

The seal is a first line with a checksum of the rest. What is damaged is told before anybody loads it.
"""

from __future__ import annotations

import errno
import os
import zlib
from pathlib import Path

from ramet.errors import DiskFullError, RunError

_SEAL = b"ramet "


def write(path: Path, data: bytes) -> None:
    """Write ``data`` under a seal, durably.

    Raises:
        DiskFullError: there is no room for it.
        RunError: it cannot be written.
    """
    new = path.with_name(f"{path.name}.tmp")
    try:
        with new.open("wb") as file:
            file.write(_SEAL + b"%08x\n" % zlib.crc32(data) + data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    except OSError as error:
        new.unlink(missing_ok=True)
        kind = DiskFullError if error.errno in (errno.ENOSPC, errno.EDQUOT) else RunError
        raise kind(f"cannot write {path}: {error}") from error


def read(path: Path) -> bytes:
    """Return what was written; what has no seal, as files of format 1 have none, as it is.

    Raises:
        RunError: it is not what was written, or cannot be read.
    """
    try:
        if not path.is_file():  # a pipe would never be read to its end
            raise OSError(f"{path} is no file")
        data = path.read_bytes()
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error}") from error
    head, _, body = data.partition(b"\n")
    if not data.startswith(_SEAL):
        return data
    if head != _SEAL + b"%08x" % zlib.crc32(body):
        raise RunError(f"{path} is damaged: it is not what was written")
    return body
