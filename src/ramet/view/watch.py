"""What ``ramet watch`` does: shows a run of another process while it goes on, and never gets in its way."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import shutil
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ramet.core.events import Decided, Ended, Event, Reported
from ramet.core.population import Population
from ramet.following import Follower
from ramet.store.lock import is_held
from ramet.view.live import Display, GuardedDisplay, display_for, shows_styles
from ramet.view.standing import reports
from ramet.view.summary import go_on
from ramet.view.trails import Trails
from ramet.view.values import clean
from ramet.view.wording import brief, plain, told

POLL_SECONDS = 0.25
RECALLED = 12

DETACHED = 130
GONE = "the process that ran it is gone"

Came = list[tuple[int, Event]]
"""Events with their numbers in the ledger."""


def watch(folder: Path, *, once: bool = False, as_json: bool = False, from_start: bool = False) -> int:
    """Show the run in ``folder`` until it ends, its process is gone, or the user has seen enough.

    Args:
        folder: the run's folder.
        once: print how it stands now, and return.
        as_json: print a JSON object a line for each event.
        from_start: with ``as_json``, of those that have happened already, too.

    Returns:
        The exit status: 0 if the run has ended, 1 if the process that ran it is gone, 130 if the user left.

    Raises:
        RunError: there is no run, or it cannot be read.
    """
    follower = Follower(folder.resolve())
    try:
        with _terminated():
            if as_json:
                return _as_json(follower, from_start)
            return _once(follower) if once else _shown(follower)
    except BrokenPipeError:  # who reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DETACHED


# ---------------------------------------------------------------------------------------------------- following


def _caught_up(follower: Follower, tell: Callable[[Came], None]) -> None:
    """Take in what has happened so far, and wait until that is more than nothing."""
    while follower.more or not follower.population.members:
        held = is_held(follower.folder)
        came = follower.poll()
        tell(came)
        if not came and not follower.population.members:
            if not held:
                return
            time.sleep(POLL_SECONDS)


def _follow(follower: Follower, tell: Callable[[Came], None], tick: Callable[[], None]) -> bool:
    """Pass on what happens until nothing more will; return whether the run has ended, else its process is gone."""
    while True:
        # Before it is read: who ends a run says so, and lets go of it then.
        held = is_held(follower.folder)
        came = follower.poll()
        if came:
            tell(came)
        if follower.population.ended is not None and not follower.more:
            return True
        if not came and not held:
            return False
        tick()
        if not follower.more:
            time.sleep(POLL_SECONDS)


# ---------------------------------------------------------------------------------------------------- showing


class _Past:
    """What a display has to know of the time before it was there."""

    def __init__(self, follower: Follower) -> None:
        self.trails = Trails(Population())
        self.recent: deque[tuple[Event, Decided | None]] = deque(maxlen=RECALLED)
        self._population = follower.population

    def take_in(self, came: Came) -> None:
        events = [event for _, event in came]
        self.trails.take_in(events, self._population)
        self.recent.extend(told(events, 1))


def _shown(follower: Follower) -> int:
    population, past = follower.population, _Past(follower)
    try:
        _caught_up(follower, past.take_in)
    except KeyboardInterrupt:
        return DETACHED
    display: Display = display_for(1, interactive=False, already=population.spent)
    if isinstance(display, GuardedDisplay):
        display = display.inner  # a display that fails is all there is here
    display.recall(past.trails, past.recent)
    try:
        display.start(follower.folder, population)
        ended = _follow(
            follower,
            lambda came: display.events([event for _, event in came], population),
            lambda: display.update(population, None),
        )
        if not ended:
            population.apply(Ended(GONE))  # in our fold, and nowhere else
        display.close(population)
    except KeyboardInterrupt:
        display.leave(population)
        print("detached: the run goes on", file=sys.stderr)
        return DETACHED
    finally:
        display.leave(population)
    return 0 if ended else _gone(follower)


def _gone(follower: Follower) -> int:
    how = go_on(follower.population, follower.folder)
    print(f"ramet watch: {GONE}" + (f"; go on: {how}" if how else ""), file=sys.stderr)
    return 1


def _once(follower: Follower) -> int:
    from ramet.view.heading import Scene
    from ramet.view.lines import show, terminal
    from ramet.view.table import frame

    past = _Past(follower)
    _caught_up(follower, past.take_in)
    population, folder = follower.population, follower.folder
    gone = population.ended is None and not is_held(folder)
    if gone:
        population.apply(Ended(GONE))
    scene = Scene(
        population=population,
        running=None,
        folder=folder,
        elapsed=population.spent,
        rate=reports(population) / max(population.spent, 1e-9),
        trails=past.trails,
        recent=[brief(event, decided, population, folder) for event, decided in past.recent],
        free=_free_bytes(folder),
        now=time.time(),
    )
    if shows_styles():
        console = terminal()
        show(console, frame(scene, console.width, console.height))
    else:
        whole = len(population.members) + 2 * RECALLED + 10
        for line in frame(scene, shutil.get_terminal_size((120, 0)).columns, whole):
            print(plain(line).rstrip())
    return _gone(follower) if gone else 0


def _free_bytes(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


# ---------------------------------------------------------------------------------------------------- as JSON


def _as_json(follower: Follower, from_start: bool) -> int:
    population = follower.population

    def tell(came: Came) -> None:
        for seq, event in came:
            print(json.dumps(_told(seq, event, population)))
        sys.stdout.flush()

    def pass_over(_: Came) -> None:
        """Of what has happened already nothing is told."""

    try:
        _caught_up(follower, tell if from_start else pass_over)
        if not from_start:
            print(json.dumps({"kind": "Attached", "seq": follower.seq, "members": len(population.members)}), flush=True)
        if _follow(follower, tell, lambda: None):
            return 0
    except KeyboardInterrupt:
        return DETACHED
    print(json.dumps({"kind": "Gone", "go_on": go_on(population, follower.folder)}), flush=True)
    return 1


def _told(seq: int, event: Event, population: Population) -> dict[str, Any]:
    """Return an event as one JSON object: its fields, its kind and number, and the member that it is about."""
    found: dict[str, Any] = {"seq": seq, "kind": type(event).__name__}
    segment = getattr(event, "segment", None)
    if segment is not None:
        found["member"] = population.segments[segment].member
    hidden = ("rows", "elapsed") if isinstance(event, Reported) else ()
    for each in dataclasses.fields(event):
        if each.name not in hidden:
            found[each.name] = _plain(getattr(event, each.name))
    return found


def _plain(value: Any) -> Any:
    """Return ``value`` as any reader of JSON takes it: what is no finite number is null, an object how it looks."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, float)):
        return value if isinstance(value, int) or math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else clean(repr(value))


@contextlib.contextmanager
def _terminated() -> Iterator[None]:
    """Let a SIGTERM end us in an orderly way, so that the terminal is given back."""

    def end(number: int, _: object) -> None:
        sys.exit(128 + number)

    try:
        before = signal.signal(signal.SIGTERM, end)
    except ValueError:  # not in the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
