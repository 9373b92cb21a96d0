"""Calls to a store that is far away: made again when they fail for a while, and told in words without secrets.

What a filesystem package raises is of a hundred kinds. Two matter: what is no better next time, such as a bucket that
is not there or a right that is lacking, and all the rest, which is tried again with pauses that double.
"""

from __future__ import annotations

import os
import random
import re
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from ramet.errors import RametError, StorageError

FIRST_SECONDS = 0.2
LONGEST_SECONDS = 30.0

_FOR_A_WHILE = (400, 408, 409, 425, 429)
"""Answers of HTTP that are no verdict: a body that came cut is a bad request."""

_Result = TypeVar("_Result")

_LASTING = (FileNotFoundError, PermissionError, NotADirectoryError, IsADirectoryError, FileExistsError, ImportError)
_NO_CREDENTIALS = frozenset(
    (
        "NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound",
        "DefaultCredentialsError", "RefreshError", "NoAuthTokenError", "ClientAuthenticationError",
        "TokenRetrievalError", "UnauthorizedSSOTokenError", "SSOTokenLoadError",
    )
)  # fmt: skip
"""Names of errors, wherever they are defined, by which nobody has told a package who we are."""

_REFUSED = frozenset(("ParamValidationError", "InvalidRegionError", "NoRegionError"))

_SECRETS = (
    re.compile(r"(?i)(?<=[?&;])[\w.-]*(?:signature|credential|token|key|secret|sig)[\w.-]*=[^&\s'\"<>]+"),
    re.compile(
        r"(?i)\b[\w.-]*(?:secret|password|token|accountkey|access_?key(?:_?id)?)[\w.-]*['\"]?\s*[=:]\s*[^\s,;&<>]+"
    ),
    re.compile(r"(?i)\bauthorization['\"]?\s*[=:]\s*[^\n]+"),
    re.compile(r"(?i)<(AWSAccessKeyId|StringToSign|SignatureProvided|CanonicalRequest)\b.*?</\1>", re.DOTALL),
    re.compile(r"(?<=://)[^/@\s'\"]+@"),
    re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b"),
)
_IN_ENVIRONMENT = re.compile("(?i)secret|password|token|access_key|account_key|connection_string")


def scrubbed(text: str) -> str:
    """Return ``text`` on one line, without what may be a secret: signatures, keys, and what the environment holds."""
    for name, value in os.environ.items():
        if len(value) >= 8 and _IN_ENVIRONMENT.search(name):
            text = text.replace(value, "…")
    for secret in _SECRETS:
        text = secret.sub("…", text)
    return " ".join(text.split())[:300].rstrip(". ")


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield ``error`` and what it was made of."""
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        yield at
        at = at.__cause__ or at.__context__


def status(error: BaseException) -> int | None:
    """Return the status of HTTP that an error tells of, or what it was made of, if one does."""
    return next((found for each in chain(error) if (found := _status(each)) is not None), None)


def _status(error: BaseException) -> int | None:
    told = getattr(error, "response", None)
    if isinstance(told, dict):
        found = (told.get("ResponseMetadata") or {}).get("HTTPStatusCode")
    else:
        found = next((value for name in ("status", "status_code", "code") if (value := getattr(error, name, 0))), 0)
    if type(found) is int and 400 <= found < 600:
        return found
    if type(error) is OSError and str(error).startswith("Forbidden"):
        return 403  # of gcsfs, which tells it in no other way
    return None


def is_missing(error: BaseException) -> bool:
    """Return whether something is not there, as each package says it.

    What an error was made of does not count: who lost the connection after he was told that a name is no object, and
    asked whether it is a folder, knows nothing of what is there.
    """
    return isinstance(error, FileNotFoundError) or _status(error) == 404


def is_lasting(error: BaseException) -> bool:
    """Return whether making a call again is of no use until somebody has done something."""
    if isinstance(error, (*_LASTING, RametError)) or lacks_credentials(error) or type(error).__name__ in _REFUSED:
        return True
    found = status(error)
    return found is not None and found < 500 and found not in _FOR_A_WHILE


def lacks_credentials(error: BaseException) -> bool:
    """Return whether a filesystem package, or the store, does not know who we are."""
    return any(type(each).__name__ in _NO_CREDENTIALS for each in chain(error)) or status(error) == 401


def in_words(error: BaseException) -> str:
    """Return what went wrong, on one line and without secrets."""
    told = scrubbed(str(error))
    return f"{type(error).__name__}: {told}" if told else type(error).__name__


class Retries:
    """How often and how long a call is made again: ``tries`` times in all, with pauses that double.

    Args:
        tries: at least 1.
        first, longest: seconds of the first pause and of the longest; each is cut by chance to a half at most, so that
            machines that were thrown out together do not come back together.
    """

    def __init__(self, tries: int = 7, first: float = FIRST_SECONDS, longest: float = LONGEST_SECONDS) -> None:
        self.tries, self.first, self.longest = tries, first, longest
        self._random = random.Random()  # of its own: the global one is the user's
        self._over = threading.Event()

    def pause(self, number: int) -> float:
        """Return how many seconds to wait after failure ``number``, counted from 1."""
        return min(self.longest, self.first * 2.0 ** min(number - 1, 60)) * self._random.uniform(0.5, 1.0)

    def wait(self, seconds: float) -> bool:
        """Wait; return whether it is all over meanwhile."""
        return self._over.wait(seconds)

    def end(self) -> None:
        """Let no call be made again, and end pauses that are under way."""
        self._over.set()

    def call(self, what: str, function: Callable[[], _Result]) -> _Result:
        """Return what ``function`` does, which is called until it does well or is given up.

        Raises:
            FileNotFoundError: something is not there.
            StorageError: it failed for good; ``what`` says what was tried.
        """
        for number in range(1, self.tries + 1):
            try:
                return function()
            except (FileNotFoundError, RametError):
                raise
            except Exception as error:
                if is_missing(error):
                    raise FileNotFoundError(in_words(error)) from None
                last, lasting = error, is_lasting(error)
            if lasting or number == self.tries or self.wait(self.pause(number)):
                break
        # Nothing of the error itself is passed on: what hangs on it may tell a secret.
        raise StorageError(f"{what}: {in_words(last)}") from None
