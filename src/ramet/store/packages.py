"""The filesystem packages that fsspec finds for a URL: what each is called, and how it is kept from working against us.

Each makes calls again by itself, s3fs for seconds, gcsfs for half a minute, adlfs for a minute and a half, and tells
nobody. Where we do that ourselves their tries multiply ours, and a user whose store is down waits for minutes before he
is told; so they are to try once. Two of them have no public way to that: what is not found under its name is left as it
is, and is slower, not wrong.
"""

from __future__ import annotations

import functools
import inspect
import logging
from importlib.util import find_spec
from typing import Any

from ramet.errors import ConfigError
from ramet.store.retries import in_words

_PACKAGES = {
    **dict.fromkeys(("s3", "s3a"), "s3fs"),
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("az", "abfs", "abfss", "adl"), "adlfs"),
}
_OF_GCSFS = ("_request", "_get_file_request", "_get_file_concurrent")
"""What it wraps in a loop of its own."""

_NOBODY = "either a connection_string or account_name"
"""What adlfs says, as a ValueError, where nobody has told it who we are."""


def package(url: str) -> str | None:
    """Return the package that serves ``url``, where it is one that we know."""
    return _PACKAGES.get(url.partition("://")[0])


def opened(url: str) -> tuple[Any, str]:
    """Return the filesystem of ``url``, one of its own, and the path there.

    Raises:
        ConfigError: its package is not installed, does not know who we are, or makes nothing of the URL.
    """
    try:
        from fsspec.core import url_to_fs

        # What it lists is what is there: a cache would hide what another machine does.
        found, path = url_to_fs(url, skip_instance_cache=True, use_listings_cache=False)
    except ImportError as error:
        raise ConfigError(_lacking(url, error)) from None
    except Exception as error:  # of fsspec, or of the package
        if _NOBODY in str(error):
            raise ConfigError(without_credentials(url, in_words(error))) from None
        raise ConfigError(f"storage_path={url!r} cannot be used: {in_words(error)}") from None
    _try_once(found)
    return found, path


def without_credentials(url: str, told: str) -> str:
    """Return the message that nobody has told the package of ``url`` who we are."""
    return (
        f"storage_path={url!r}: there are no credentials for it, or not the right ones ({told}): set them up as "
        f"{package(url) or 'its package'} takes them, as environment variables, say"
    )


def _lacking(url: str, error: ImportError) -> str:
    lacking = [name for name in ("fsspec", package(url)) if name is not None and find_spec(name) is None]
    if lacking:
        which = f"{' and '.join(lacking)}, which {'are' if len(lacking) > 1 else 'is'} not installed"
        return f"storage_path={url!r} needs {which}: pip install {' '.join(lacking)}, or 'ramet[cloud]'"
    return f"storage_path={url!r} needs a package that is not installed: {in_words(error)}"


def _try_once(filesystem: Any) -> None:
    kind = type(filesystem)
    if isinstance(getattr(kind, "retries", None), int):
        filesystem.retries = 1  # of s3fs
    if kind.__module__.partition(".")[0] == "gcsfs":
        if not (log := logging.getLogger("gcsfs")).handlers:
            log.addHandler(logging.NullHandler())  # else each failure is a traceback on the screen
        for name in _OF_GCSFS:
            if (wrapped := getattr(kind, name, None)) is not None:
                setattr(filesystem, name, functools.partial(inspect.unwrap(wrapped), filesystem))
    pipeline = getattr(getattr(filesystem, "service_client", None), "_pipeline", None)
    for policy in getattr(pipeline, "_impl_policies", ()):
        if hasattr(policy, "total_retries"):
            policy.total_retries = 0
