"""A machine's own copies of a run's checkpoints, and the one thread that sends them to the store.

What is committed here is sent in the background, in its order. What is needed and not here is brought, once for all
processes of the machine. With a budget, copies that are in the store and that nobody uses give way, those first that
were used longest ago. A store that does not answer holds up nothing but this thread, which tries again and says so.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from ramet.errors import DamageError, StorageError
from ramet.store.checkpoints import CheckpointStore
from ramet.store.pins import Pin
from ramet.store.remote import NotThereError, Remote
from ramet.store.retries import in_words

OUTAGE_SECONDS = 600.0
"""How long who needs a checkpoint waits for a store that does not answer."""

_LOOK_SECONDS = 0.05

_ASK_SECONDS = 0.5
"""How often the store is asked for what other machines send there."""


class Depot:
    """The folder ``root`` of committed checkpoints, kept in step with ``remote``. Any thread may call it.

    Args:
        root: the folder; several processes of one machine may share it.
        remote: where the run is kept.
        budget: bytes that local copies may take, as far as they can give way; None for no limit.
    """

    def __init__(self, root: str | os.PathLike[str], remote: Remote, budget: int | None = None) -> None:
        self.store, self.remote, self.budget = CheckpointStore(root), remote, budget
        self._changed = threading.Condition()
        self._queue: dict[str, None] = {}
        self._flying: str | None = None
        self._expected: set[str] = set()
        self._asked_at = 0.0
        self._known: set[str] = set()
        self._sent: list[str] = []
        self._lost: dict[str, str] = {}
        self._doomed: set[str] = set()
        self._held: frozenset[str] = frozenset()
        self._kept: frozenset[str] = frozenset()
        self._pins: dict[str, list[Pin]] = {}
        self._used: dict[str, int] = {}  # name -> bytes, the longest unused first
        self._trouble: str | None = None
        self._closing = False
        self._thread: threading.Thread | None = None

    # ------------------------------------------------------------------ sending

    def send(self, final: str) -> None:
        """Send the committed checkpoint ``final``, which is here, in the background."""
        with self._changed:
            if self._closing or final in self._known or final in self._queue or final == self._flying:
                return
            self._queue[final] = None
            if self._thread is None:
                self._thread = threading.Thread(target=self._send_all, name="ramet-depot", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    @property
    def pending(self) -> set[str]:
        """The checkpoints that are to be sent, the one on its way included, and those that others send."""
        with self._changed:
            return {*self._queue, *(() if self._flying is None else (self._flying,)), *self._expected}

    def expect(self, final: str) -> None:
        """Take in that another machine sends ``final``."""
        with self._changed:
            if final not in self._known:
                self._expected.add(final)

    def give_up(self, final: str) -> None:
        """Expect ``final`` no more: who was to send it is lost."""
        with self._changed:
            self._expected.discard(final)
            self._changed.notify_all()

    def ask_for_expected(self) -> None:
        """See which of the checkpoints that others send are committed in the store by now; not too often."""
        if time.monotonic() - self._asked_at < _ASK_SECONDS:
            return
        with self._changed:
            expected = sorted(self._expected)
        self.learn([final for final in expected if self.remote.holds(final)])
        self._asked_at = time.monotonic()

    @property
    def known(self) -> set[str]:
        """The checkpoints that are committed in the store, as far as this depot has seen."""
        with self._changed:
            return set(self._known)

    def learn(self, names: Collection[str]) -> None:
        """Take in that ``names`` are committed in the store, whoever sent them."""
        with self._changed:
            self._known.update(names)
            self._expected.difference_update(names)

    def sent(self) -> list[str]:
        """Return the checkpoints whose sending was committed since the last call."""
        with self._changed:
            sent, self._sent = self._sent, []
            return sent

    @property
    def lost(self) -> dict[str, str]:
        """The checkpoints that can never be sent, for they are damaged or gone here, and why."""
        with self._changed:
            return dict(self._lost)

    @property
    def trouble(self) -> str | None:
        """What the store said when it last failed; None while it does well."""
        return self._trouble

    def wait(self, seconds: float) -> None:
        """Wait until something has changed, or that long."""
        with self._changed:
            self._changed.wait(seconds)

    def _send_all(self) -> None:
        while True:
            with self._changed:
                while not self._queue and not self._closing:
                    self._changed.wait()
                if not self._queue or self._closing:
                    return
                final = next((name for name in self._queue if name in self._held), next(iter(self._queue)))
                del self._queue[final]
                self._flying = final
            try:
                self._send(final)
            finally:
                with self._changed:
                    self._flying = None
                    if not self._queue:  # what was in trouble has been let go
                        self._trouble = None
                    doomed = final in self._doomed
                    self._changed.notify_all()
            if doomed:
                self.forget(final)
            self._make_room()

    def _send(self, final: str) -> None:
        pin = self._pinned(final)
        try:
            number = 0
            while True:
                try:
                    self.remote.commit(self.store.path(final), final, again=number > 0)
                    break
                except DamageError as error:
                    with self._changed:
                        self._lost[final] = str(error)
                    return
                except Exception as error:  # of the store, or of this machine: no file can be opened, say
                    number += 1
                    with self._changed:
                        self._trouble = str(error) if isinstance(error, StorageError) else in_words(error)
                        self._changed.notify_all()
                    if self.remote.retries.wait(self.remote.retries.pause(number + self.remote.retries.tries)):
                        with self._changed:
                            self._queue = {final: None, **self._queue}  # it is still to be sent
                            self._closing = True
                        return
                    if self._is_let_go(final):
                        return
        finally:
            pin.release()
        self._trouble = None
        with self._changed:
            self._known.add(final)
            self._sent.append(final)
            self._touch(final)

    def _is_let_go(self, final: str) -> bool:
        with self._changed:
            return final in self._doomed and final not in self._held

    # ------------------------------------------------------------------ bringing

    def fetch(self, final: str, patience: float = 0.0, outage: float = OUTAGE_SECONDS) -> Path:
        """Return where the checkpoint ``final`` lies here, brought from the store if it has to be; `release` it.

        Args:
            final: its name.
            patience: seconds to wait until it is committed in the store, for one that another machine sends.
            outage: seconds to wait for a store that does not answer.

        Raises:
            DamageError: it is neither here nor there, or damaged there.
            DiskFullError: there is no room for it.
            StorageError: the store does not answer.
        """
        began, number = time.monotonic(), 0
        while True:
            pin = self._pinned(final)
            if self._is_here(final):
                with self._changed:
                    self._pins.setdefault(final, []).append(pin)
                    self._touch(final)
                self._make_room()
                return self.store.root / final
            pin.release()
            alone = Pin.take(self.store.root, final, alone=True)
            if alone is None:  # somebody else brings it
                self.remote.retries.wait(_LOOK_SECONDS)
                continue
            try:
                if not self._is_here(final):
                    self._bring(final)
                continue
            except (NotThereError, StorageError) as error:
                number += 1
                if time.monotonic() - began >= (outage if isinstance(error, StorageError) else patience):
                    raise
            finally:
                alone.release()
            if self.remote.retries.wait(self.remote.retries.pause(number)):
                raise StorageError(f"checkpoint {final} was not brought from {self.remote.url}: the run ends")

    def _bring(self, final: str) -> None:
        try:
            self.remote.fetch(final, self.store.root)
        except StorageError as error:
            self._trouble = str(error)
            raise
        if not self.pending:
            self._trouble = None
        self.learn([final])

    def _is_here(self, final: str) -> bool:
        try:
            self.store.path(final)
        except DamageError:
            return False
        return True

    def _pinned(self, final: str) -> Pin:
        """Return a pin on ``final``, once nobody holds it alone."""
        while (pin := Pin.take(self.store.root, final)) is None:
            time.sleep(_LOOK_SECONDS)  # it is being brought, or removed
        return pin

    def release(self, final: str) -> None:
        """Let go of a checkpoint that `fetch` returned, as often as it did."""
        with self._changed:
            pins = self._pins.get(final, [])
            pin = pins.pop() if pins else None
            if not pins:
                self._pins.pop(final, None)
        if pin is not None:
            pin.release()
        with self._changed:
            doomed = final in self._doomed
        if doomed:
            self.forget(final)
        self._make_room()

    # ------------------------------------------------------------------ letting go

    def hold(self, names: Collection[str]) -> None:
        """Keep ``names``, and those only, until they are sent, whoever lets go of them, and send them first."""
        with self._changed:
            self._held = frozenset(names)
            let_go = [name for name in self._doomed if name not in self._held]
            self._changed.notify_all()
        for name in let_go:
            self.forget(name)

    def keep(self, names: Collection[str]) -> None:
        """Pin ``names``, and those only, against the budget: somebody needs them."""
        if self.budget is not None:
            self._kept = frozenset(names)
            self._make_room()

    def forget(self, final: str) -> None:
        """Delete the copy here, and do not send it any more; later, if it is in use or on its way. Not in the store."""
        with self._changed:
            self._expected.discard(final)
            wanted = final in self._held and final not in self._known
            if wanted or final == self._flying or final in self._pins:
                self._doomed.add(final)
                return
            self._queue.pop(final, None)
            self._used.pop(final, None)
            self._lost.pop(final, None)
            self._doomed.discard(final)
            self._changed.notify_all()
        if not self._remove(final):
            with self._changed:
                self._doomed.add(final)

    def _remove(self, final: str) -> bool:
        """Delete a copy; return whether it is gone, which it is not while another process uses it."""
        pin = Pin.take(self.store.root, final, alone=True)
        if pin is None:
            return False
        try:
            self.store.delete(final)
        finally:
            pin.release(remove=True)
        return True

    def _touch(self, final: str) -> None:
        size = self._used.pop(final, None)
        self._used[final] = self.store.bytes_of(final) if size is None else size

    def _make_room(self) -> None:
        """Remove copies that can give way, until the rest is within the budget."""
        if self.budget is None:
            return
        with self._changed:
            over = sum(self._used.values()) - self.budget
            leaving: dict[str, int] = {}
            for final, size in self._used.items():
                if over <= 0:
                    break
                if self._can_leave(final):
                    leaving[final] = size
                    over -= size
            for final in leaving:
                del self._used[final]
        for final, size in leaving.items():  # a gigabyte takes its time: nobody waits for it
            if not self._remove(final):
                with self._changed:
                    self._used = {final: size, **self._used}

    def _can_leave(self, final: str) -> bool:
        needed = final in self._kept or final in self._held or final in self._pins or final == self._flying
        return final in self._known and not needed

    # ------------------------------------------------------------------ the end

    def close(self, wait_s: float = 0.0) -> set[str]:
        """End the sending, after at most ``wait_s`` for what is to be sent; return what was not."""
        ending = time.monotonic() + wait_s
        with self._changed:
            while (self._queue or self._flying) and (left := ending - time.monotonic()) > 0:
                self._changed.wait(min(left, 0.2))
            self._closing = True
            left_over = {*self._queue, *(() if self._flying is None else (self._flying,))}
            self._queue.clear()
            self._changed.notify_all()
        self.remote.end()
        if self._thread is not None:
            self._thread.join(timeout=_LOOK_SECONDS if left_over else None)
        with self._changed:
            pins = [pin for pins in self._pins.values() for pin in pins]
            self._pins.clear()
        for pin in pins:
            pin.release()
        return left_over


@contextmanager
def fetched(depot: Depot, final: str, patience: float = 0.0) -> Iterator[Path]:
    """Have the checkpoint ``final`` here for as long as the block runs."""
    path = depot.fetch(final, patience)
    try:
        yield path
    finally:
        depot.release(final)
