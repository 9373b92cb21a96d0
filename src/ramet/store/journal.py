"""What the file system under a run can do: which journal it bears, whether there is room, and who may write."""

from __future__ import annotations

import errno
import os
import re
import tempfile
from pathlib import Path

_NETWORK = frozenset(
    {
        "nfs", "nfs3", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "ncpfs", "9p", "afs", "openafs",
        "auristorfs", "coda", "ceph", "lustre", "gpfs", "mmfs", "beegfs", "glusterfs", "pvfs2", "orangefs",
        "panfs", "gfs2", "ocfs2", "davfs", "davfs2", "acfs", "wekafs", "vboxsf", "prl_fs", "virtiofs"
    }
)  # fmt: skip
_NETWORK_FUSE = frozenset(
    {
        "sshfs", "glusterfs", "ceph", "ceph-fuse", "beegfs", "lustre", "s3fs", "goofys", "rclone", "gcsfuse",
        "gcs", "blobfuse", "blobfuse2", "davfs", "davfs2", "mfs", "moosefs", "lizardfs", "seaweedfs", "juicefs",
        "curlftpfs", "hdfs", "hadoop", "smbnetfs", "httpdirfs", "objectivefs", "alluxio", "mount-s3", "cvmfs2",
        "grpcfuse", "osxfs", "vmhgfs-fuse", "weed", "google-drive-ocamlfuse", "quobyte"
    }
)  # fmt: skip

FULL = (errno.ENOSPC, errno.EDQUOT)


def journal_mode(folder: str | os.PathLike[str], mounts: str | os.PathLike[str] = "/proc/self/mounts") -> str:
    """Return the journal for a ledger in ``folder``: WAL, or TRUNCATE on a network's file system.

    A write-ahead log needs memory that all its readers share, and two machines share none.
    """
    return "TRUNCATE" if _is_network(file_system(folder, mounts)) else "WAL"


def file_system(folder: str | os.PathLike[str], mounts: str | os.PathLike[str] = "/proc/self/mounts") -> str:
    """Return the kind of the file system that ``folder`` is on, as its mount says; "" if nothing tells."""
    try:
        table = Path(mounts).read_bytes().decode("utf-8", "surrogateescape")
    except OSError:  # no such table on this system
        return ""
    place = os.path.realpath(folder)
    longest, kind = -1, ""
    for line in table.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = _unescaped(fields[1]).rstrip("/") + "/"
        # Later lines lie over earlier ones.
        if (place + "/").startswith(point) and len(point) >= longest:
            longest, kind = len(point), fields[2].lower()
    return kind


def _is_network(kind: str) -> bool:
    outer, _, inner = kind.partition(".")
    return (inner if outer in ("fuse", "fuseblk") else kind) in (_NETWORK_FUSE if inner else _NETWORK)


def _unescaped(text: str) -> str:
    r"""Return a mount point as it is: blanks, tabs, newlines and backslashes stand as ``\040`` and the like."""
    return re.sub(r"\\([0-3][0-7]{2})", lambda found: chr(int(found[1], 8)), text)


def is_full(folder: str | os.PathLike[str]) -> bool:
    """Return whether there is no room in ``folder``, found by writing there: a quota shows in no other way."""
    try:
        with tempfile.TemporaryFile(dir=folder, prefix=".room-") as probe:
            probe.write(bytes(64 * 1024))
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        return error.errno in FULL
    return False


def why_not_writable(path: str | os.PathLike[str]) -> str | None:
    """Return why we may not write to ``path``, a file or a folder, with whose it is; None if we may."""
    # As whom we act now, which is not always who we are.
    if os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        return None
    try:
        owner = os.stat(path).st_uid
        if os.statvfs(path).f_flag & os.ST_RDONLY:
            return f"{path} lies on a file system that can only be read"
    except OSError as error:
        return f"{path} cannot be written: {error.strerror}"
    return f"{path} belongs to {_name(owner)}, and we are {_name(os.geteuid())}, who may not write to it"


def _name(user: int) -> str:
    try:
        import pwd  # not everywhere

        return pwd.getpwuid(user).pw_name
    except (ImportError, KeyError):
        return f"user {user}"


def sync(path: str | os.PathLike[str]) -> None:
    """Wait until a file, or the names in a folder, would survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def identity(place: str) -> tuple[int, int] | None:
    """Return what tells a file from another one that takes its place; None if there is none."""
    try:
        found = os.stat(place)
    except OSError:
        return None
    return found.st_dev, found.st_ino
