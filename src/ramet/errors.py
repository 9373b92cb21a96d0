"""What can be wrong, by whose fault it is. Every message names both parties and the way out."""

from __future__ import annotations


class RametError(Exception):
    """The root of everything that Ramet raises on purpose."""


class ConfigError(RametError, ValueError):
    """An argument cannot be used: the caller's fault, found before any work starts."""


class SpaceError(ConfigError):
    """A search space or a mutation is wrong: the caller's fault, found before any work starts."""


class TrainableError(RametError):
    """The training function cannot be run at all (it cannot be pickled, takes no config …): the caller's fault."""


class ReportError(RametError, ValueError):
    """A report is bad (no dict, a value of a wrong kind, the metric missing): the training function's fault."""


class CheckpointError(RametError):
    """A checkpoint is of a wrong kind, damaged, or not there any more."""


class StrategyError(RametError):
    """A strategy, or a function that a user gave to one, returned what cannot be used."""


class DamageError(CheckpointError):
    """A committed checkpoint is not what was committed, or is gone though it should be there: the disk's fault."""


class RunError(RametError):
    """A run's folder cannot be opened, read or written."""


class DiskFullError(RunError):
    """There is no room for what has to be written. What was committed before is whole; make room and go on."""


class LockedError(RunError):
    """Another process is at work on the run: the message names its host and process."""


class MemberError(RametError):
    """A member failed; the text is the traceback of its worker."""


class StorageError(RunError):
    """A store that runs are kept in, at a URL, cannot be reached or refuses; what is on this machine is whole."""
