"""A run under way whose folder is kept in a store besides: one thread ships its ledger, and everything in its order.

A snapshot is published when all checkpoints that it names are committed in the store; what the run let go of is deleted
there when no published snapshot names it any more. So the store holds a whole run at every moment. The run itself waits
for nothing of this but at its end.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path

from ramet.errors import LockedError, RametError, RunError, StorageError
from ramet.store.depot import Depot
from ramet.store.holder import Holder
from ramet.store.ledger import NAME
from ramet.store.readers import beside
from ramet.store.remote import CHECKPOINTS, Remote
from ramet.store.snapshots import PIECES, POINTER, Home, Snapshot, copied, newest, sent, settle, small_files

RENEW_SECONDS = 20.0
"""How often a controller says that it is still at work."""

LEASE_SECONDS = 90.0
"""How long one that does not say so counts as at work."""

END_SECONDS = 60.0
"""How long the end of a run waits for a store that does not answer."""

_FIRST_SECONDS = 0.2
_LOOK_SECONDS = 0.1


class Shipping:
    """The run in ``folder``, on its way to ``remote``. `start` it when there is a ledger, `finish` it in the end.

    Args:
        folder: the run's folder.
        remote: where the run is kept.
        home: where that is, as the folder says or will say.
        period: seconds between snapshots.
        budget: bytes that copies of checkpoints may take here, None for no limit.
        lease: seconds after which a controller that is not heard of counts as gone.

    Raises:
        LockedError: another controller works on the run.
        RunError: it has gone on elsewhere since.
        StorageError: the store does not answer.
    """

    def __init__(
        self,
        folder: Path,
        remote: Remote,
        home: Home,
        *,
        period: float,
        budget: int | None = None,
        lease: float = LEASE_SECONDS,
    ) -> None:
        self.folder, self.remote, self.period = folder, remote, period
        self.holder = Holder(remote, lease)
        self.holder.take()
        try:
            before = newest(remote)
            if before is not None and (before.run != home.run or before.token not in home[2:]):
                raise RunError(
                    f"the run in {folder} has gone on elsewhere since, and what {remote.url} has is newer: restore it "
                    "from there, or copy the folder without storage.json to go on with it as a run of its own"
                )
            known = remote.names()
            self._objects = {f"{PIECES}/{name}" for name in remote.sizes(PIECES)}
            settle(folder, home._replace(token=self.holder.token, before=before.token if before else ""))
        except BaseException:
            self.holder.release()
            raise
        self.home = home
        self.depot = Depot(folder / CHECKPOINTS, remote, budget)
        self.depot.learn([name for name, committed in known.items() if committed])
        self.error: LockedError | None = None
        self._files = before.files if before is not None else {}
        self._named = frozenset[str]()
        self._doomed = set[str]()
        self._strangers = set(known)  # but for those that the next snapshot names
        self._absent = frozenset[str]()
        self._pinned: set[str] = set()
        self._shipped: object = None
        self._renewed = time.monotonic()
        self._trouble: str | None = None
        self._changed = threading.Condition()
        self._ending = self._stopped = False
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Ship from now on."""
        self._thread = threading.Thread(target=self._ship_all, name="ramet-shipping", daemon=True)
        self._thread.start()

    @property
    def trouble(self) -> str | None:
        """What the store says while it does not take what it is sent; None while it does."""
        return self._trouble or self.depot.trouble

    def look(self) -> None:
        """Raise what ends the run.

        Raises:
            LockedError: another controller has taken the run over.
        """
        if self.error is not None:
            raise self.error

    # ------------------------------------------------------------------ checkpoints

    def send(self, final: str) -> None:
        """Send the checkpoint ``final``, which the ledger names now."""
        self.depot.send(final)

    def expect(self, final: str) -> None:
        """Another machine sends the checkpoint ``final``, which the ledger names now."""
        self.depot.expect(final)

    def learn(self, finals: Collection[str]) -> None:
        """Take in that others have sent these."""
        self.depot.learn(finals)

    def give_up(self, final: str) -> None:
        """The checkpoint ``final`` is lost, and the ledger names it no more."""
        self.depot.give_up(final)

    def let_go(self, final: str) -> None:
        """Delete the checkpoint ``final``, which the ledger names no more: here now, and in the store in due course."""
        with self._changed:
            self._doomed.add(final)
        if final in self._pinned:
            self._pinned.discard(final)
            self.depot.release(final)
        self.depot.forget(final)

    def bring(self, final: str) -> Path:
        """Return where the checkpoint ``final`` lies here, brought from the store if it has to be.

        With a budget it stays until it is let go, or `keep` is called without it.

        Raises:
            CheckpointError: it is neither here nor there.
            StorageError: the store does not answer.
        """
        if self.depot.budget is None:
            path = self.depot.fetch(final)
            self.depot.release(final)
            return path
        if final not in self._pinned:
            self.depot.fetch(final)
            self._pinned.add(final)
        return self.depot.store.root / final

    def keep(self, names: Collection[str]) -> None:
        """Let copies of all checkpoints but ``names``, which somebody trains on, give way if there is no room."""
        if self.depot.budget is None:
            return
        for final in self._pinned.difference(names):
            self._pinned.discard(final)
            self.depot.release(final)
        self.depot.keep(names)

    def has(self, final: str) -> bool:
        """Return whether the checkpoint ``final`` is in the store, as far as is known."""
        return final in self.depot.known

    def unsent(self) -> set[str]:
        """Return the checkpoints that must stay here until they are sent."""
        return self.depot.pending

    # ------------------------------------------------------------------ snapshots

    def _ship_all(self) -> None:
        failures, pause = 0, _FIRST_SECONDS
        while True:
            with self._changed:
                if not self._ending:
                    self._changed.wait(pause)
                ending = self._ending
                if ending and failures and not self._stopped:
                    self._changed.wait(min(pause, 1.0))
                if self._stopped:
                    return
            try:
                published = self._ship()
                failures, self._trouble = 0, None
                pause = self.period if published else _FIRST_SECONDS
                if ending:
                    self.holder.release()
                    self._done.set()
                    return
            except LockedError as error:
                self.error = error
                self._done.set()
                return
            except Exception as error:  # of the store, or of this machine's disk: the next one may do well
                failures += 1
                self._trouble = str(error) if isinstance(error, RametError) else f"{type(error).__name__}: {error}"
                pause = min(self.period, self.remote.retries.pause(failures + 3))

    def _ship(self) -> bool:
        """Publish a snapshot if anything is new, and delete what is no longer named; return whether one is there."""
        self._renew(due=self._ending)
        while (stamp := self._stamp()) != self._shipped:
            with copied(self.folder) as (ledger, seq, names):
                if not seq:
                    return False
                self.depot.hold(names)
                files = {NAME: ledger} | {name: self.folder / name for name in small_files(self.folder)}
                made = sent(self.remote, files, self._files, self._objects)
                if not self._all_sent(names):
                    continue  # something was let go before it was held: the ledger does not name it any more
            snapshot = Snapshot(self.home.run, self.holder.token, seq, made)
            self.holder.check()
            self.remote.put(POINTER, snapshot.encoded())
            self._files, self._named, self._shipped = made, frozenset(names), stamp
            with self._changed:
                self._doomed |= self._strangers - names
            self._strangers.clear()
            self.depot.hold(())
        if self._ending and self._files:  # what another machine was sending when it was let go, say
            with self._changed:
                self._doomed |= self.remote.names().keys() - self._named
        self._clean()
        return True

    def _all_sent(self, names: Collection[str]) -> bool:
        """Wait until all of ``names`` are in the store; return False if one of them has gone meanwhile."""
        while missing := set(names) - self.depot.known - self.depot.lost.keys():
            here = {name for name in missing if os.path.isdir(self.depot.store.root / name)}
            absent = frozenset(missing - here - self.depot.pending - self.depot.known)
            if absent - self._absent:
                self._absent = absent
                return False
            if absent == missing:
                break  # they have been deleted by somebody else: who restores the run finds so too
            for name in here:
                self.depot.send(name)
            self.depot.ask_for_expected()
            if self._stopped:
                raise StorageError(f"{len(missing)} checkpoints are not in {self.remote.url}")
            self._renew()
            self.depot.wait(_LOOK_SECONDS)
        return True

    def _clean(self) -> None:
        """Delete what the published snapshot does not name, if it is still ours to publish."""
        pending = self.depot.pending
        with self._changed:
            doomed = [name for name in self._doomed if name not in self._named and name not in pending]
        objects = self._objects - {piece.name for pieces in self._files.values() for piece in pieces}
        if doomed or objects:
            self.holder.check()
        for name in doomed:
            self.remote.delete(name)
            with self._changed:
                self._doomed.discard(name)
        for name in sorted(objects):
            self.remote.drop([name])
            self._objects.discard(name)

    def _renew(self, due: bool = False) -> None:
        if due or time.monotonic() - self._renewed >= min(RENEW_SECONDS, self.period):
            self.holder.renew()
            self._renewed = time.monotonic()

    def _stamp(self) -> object:
        """Return what changes whenever something in the folder does that a snapshot holds."""
        paths = [self.folder / name for name in (NAME, *small_files(self.folder))]
        return [_times(path) for path in (*paths, beside(self.folder / NAME, "-wal"))]

    # ------------------------------------------------------------------ the end

    def finish(self, given_up: Callable[[], bool] = lambda: False) -> str | None:
        """Ship what is left, and stop being the holder; return what to say if that did not come about.

        It waits as long as the store takes what it is sent, for `END_SECONDS` of a store that does not, and not any
        more once ``given_up`` says so. The ledger must not be written to meanwhile.
        """
        since: float | None = None
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        try:
            while self._thread is not None and not self._done.wait(_LOOK_SECONDS):
                since = None if self.trouble is None else since or time.monotonic()
                if given_up() or (since is not None and time.monotonic() - since > END_SECONDS):
                    break
        finally:
            whole = self._done.is_set()
            with self._changed:
                self._stopped = True
                self._changed.notify_all()
            self.depot.close()
            self.holder.leave()
        if self._thread is None:  # nothing ever came about
            with contextlib.suppress(StorageError):
                self.holder.release()
            return None
        if whole:
            return None
        why = self.trouble or "it was not waited for"
        return f"not all of the run is in {self.remote.url} ({why}): a resume of {self.folder} sends it"


def _times(path: Path) -> object:
    try:
        found = os.stat(path)
    except OSError:
        return path.name
    return path.name, found.st_ino, found.st_size, found.st_mtime_ns
