"""URLs of folders in a store, and what must never be in one."""

from __future__ import annotations

from ramet.errors import ConfigError
from ramet.store.retries import scrubbed


def checked(url: str) -> str:
    """Return ``url`` as it is kept, once its shape is that of a folder in a store.

    Raises:
        ConfigError: it is not, or it holds credentials.
    """
    kind, _, rest = url.partition("://")
    shown = scrubbed(url)
    if "@" in rest.partition("/")[0]:
        raise ConfigError(
            f"storage_path={shown!r} holds credentials, which are never kept: leave them out, and give them as the "
            "filesystem package takes them, as environment variables, say"
        )
    if not kind.replace("+", "").isalnum() or not rest.strip("/") or "::" in url or any(c in rest for c in "?#*\0\n"):
        raise ConfigError(f"storage_path={shown!r} is no URL of a folder: give one such as s3://bucket/runs")
    if any(part in (".", "..") for part in rest.split("/")):
        raise ConfigError(f"storage_path={shown!r} leads in a circle: leave out '.' and '..'")
    return url.rstrip("/")
