"""Small directories as bytes: a line of JSON with names, sizes and permissions, a newline, and the files' content.

    {"files":{"model/weights":[5,420]},"folders":["empty"]}

The content follows in the order of the files and without gaps, and last zlib's CRC-32 of all that, in four bytes,
little-endian. The same files give the same bytes: no date is in them.
Before format 3 of the ledger such a directory was a zip archive; those are read all the same. Nothing of what is read
is believed before all of it has been looked at.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from ramet.errors import DamageError
from ramet.store.manifest import contents
from ramet.store.trees import leads_inside, place

BUNDLES = ("files", "zip")
"""The kinds of small directories: of this format, and of earlier ones."""

_JSON = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True)


class _File(NamedTuple):
    name: str
    content: bytes
    mode: int


def bundled(directory: str | os.PathLike[str], limit: int) -> bytes | None:
    """Return the files of ``directory`` as bytes; None if they are more than ``limit`` bytes, or have odd names."""
    files: dict[str, tuple[int, int]] = {}
    folders, parts, total = [], [b""], 0
    for entry in contents(directory):
        if not _is_text(entry.name):
            return None
        if entry.is_folder:
            folders.append(entry.name)
            continue
        if total + entry.status.st_size > limit:
            return None
        with open(entry.path, "rb") as file:
            content = file.read()
        total += len(content)
        files[entry.name] = (len(content), entry.status.st_mode & 0o777)
        parts.append(content)
    if total > limit:  # one of them grew meanwhile
        return None
    parents = {os.path.dirname(name) for name in (*files, *folders)} if folders else set()
    parts[0] = _JSON.encode({"files": files, "folders": [name for name in folders if name not in parents]}).encode()
    parts[0] += b"\n"
    data = b"".join(parts)
    return data + crc32(data).to_bytes(4, "little")


def _is_text(name: str) -> bool:
    return name.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in name)


def unbundled(data: bytes, kind: str, target: Path) -> None:
    """Write the files of a bundle (``kind`` "files", or "zip") into the directory ``target``.

    Raises:
        DamageError: it is none; nothing has been written then.
    """
    files, folders = checked(data, kind)
    for name, content, mode in files:
        path = place(target, name)
        with open(path, "wb", buffering=0) as file:
            file.write(content)
            if mode:
                os.fchmod(file.fileno(), mode)
    for name in folders:
        place(target, name).mkdir(exist_ok=True)


def checked(data: bytes, kind: str) -> tuple[list[_File], list[str]]:
    """Return what a bundle holds: its files, and its empty folders.

    Raises:
        DamageError: it is no bundle: cut off, packed to unfold hugely, or with names that lead elsewhere.
    """
    try:
        files, folders = _zipped(data) if kind == "zip" else _read(data)
        names = [*(file.name for file in files), *folders]
        if len(set(names)) < len(names) or not all(map(leads_inside, names)):
            raise ValueError("its names do not fit a directory, or lead out of it")
        known = {file.name for file in files}
        if any(not known.isdisjoint(_above(name)) for name in names):
            raise ValueError("it has a file where it has a folder")
    except Exception as error:  # zipfile has many for what is no zip file
        raise DamageError(
            f"a small checkpoint of {len(data)} bytes is damaged: {error!s:.200}; use an earlier one"
        ) from error
    return files, folders


def _read(data: bytes) -> tuple[list[_File], list[str]]:
    if crc32(data[:-4]) != int.from_bytes(data[-4:], "little"):
        raise ValueError("its checksum does not fit its content")
    head, _, body = data[:-4].partition(b"\n")
    told = json.loads(head)
    files, at = [], 0
    for name, (size, mode) in told["files"].items():
        if not (type(size) is type(mode) is int and 0 <= size <= len(body) - at and 0 <= mode <= 0o777):
            raise ValueError(f"it has no such file as {name!r:.80}")
        files.append(_File(name, body[at : at + size], mode))
        at += size
    folders = told["folders"]
    if at != len(body) or type(folders) is not list:
        raise ValueError("it has not the length that it tells")
    return files, folders


def _zipped(data: bytes) -> tuple[list[_File], list[str]]:
    with zipfile.ZipFile(BytesIO(data)) as archive:
        infos = archive.infolist()
        if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
            raise ValueError("it is compressed, and ours are not")
        if sum(info.file_size for info in infos) > len(data):
            raise ValueError("its files are larger than all of it")
        files = [
            _File(info.filename, archive.read(info), info.external_attr >> 16 & 0o777)
            for info in infos
            if not info.is_dir()
        ]
        return files, [info.filename.removesuffix("/") for info in infos if info.is_dir()]


def _above(name: str) -> Iterator[str]:
    return (name[:at] for at, letter in enumerate(name) if letter == "/")
