"""The runs in a store as ``ramet ls`` lists them: each newest snapshot is read in a folder that is gone after."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ramet.store.remote import Remote


def kept(url: str, told: Callable[[Path], dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what the runs at ``url`` are, in the words of ``told``, which reads a folder; nothing is written there.

    Raises:
        ConfigError: the URL cannot be used.
        StorageError: the store does not answer.
    """
    from ramet.store.remote import Remote
    from ramet.store.snapshots import POINTER

    top = Remote(url)
    places = [top] if top.has(POINTER) else [top.below(name) for name in top.folders()]
    return [_told(place, told) for place in places if place is top or place.has(POINTER)]


def _told(place: Remote, told: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    from ramet.errors import RametError, StorageError
    from ramet.store.holder import is_held
    from ramet.store.shipping import LEASE_SECONDS
    from ramet.store.snapshots import ROUNDS, brought, newest

    with tempfile.TemporaryDirectory(prefix="ramet-ls-") as room:
        folder = Path(room, place.url.rpartition("/")[2])
        folder.mkdir()
        why = None
        for _ in range(ROUNDS):
            try:
                if (found := newest(place)) is not None:
                    brought(place, found, folder)
                break
            except FileNotFoundError:
                continue  # the run goes on, and a newer snapshot has come in between
            except StorageError:
                raise
            except RametError as error:
                why = str(error).partition("\n")[0]
                break
        run = told(folder)
    if why is not None:
        run["why"] = why
    if run["state"] == "broken off" and is_held(place, LEASE_SECONDS):
        run["state"] = "under way"
    return {**run, "path": place.url}
