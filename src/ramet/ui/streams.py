"""What is new, told as it happens: one look at a run's files for all who watch it, and events for each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

from ramet.errors import RametError
from ramet.ui.answers import brief
from ramet.ui.folder import Place, stamp
from ramet.ui.listing import Listing
from ramet.ui.plain import encoded, text
from ramet.ui.readers import Readers

LOOK_EVERY = 0.05
"""Seconds between two looks at the age of a run's files, which costs some microseconds."""

TELL_EVERY = 0.5
"""Seconds between two events about a run."""

SHARE = 0.04
"""Of a processor, what reading a run that goes on may take: a look that took long is followed by a long rest."""

STATE_EVERY = 1.0
"""Seconds between two looks whether the process that works on a run is alive."""

LIST_EVERY = 2.0
"""Seconds between two looks for runs that are new or have changed."""

ALIVE_EVERY = 15.0
"""Seconds after which a silent stream says that it is there."""

MOST = 200
"""Streams at a time."""


class Topic:
    """Something that is watched. ``follow`` runs while anybody does, and calls `tell` with what is new."""

    def __init__(self, follow: Callable[[Topic], Awaitable[None]]) -> None:
        self._follow = follow
        self.told = b""
        self.number = self.watching = 0
        self.changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.task: asyncio.Task[None] | None = None

    def tell(self, event: str, told: dict[str, Any]) -> None:
        """Say something to all who watch."""
        self.told = b"event: %s\ndata: %s\n\n" % (event.encode(), encoded(told))
        self.number += 1
        self.wake()

    def wake(self) -> None:
        """Let all who wait look."""
        woken, self.changed = self.changed, asyncio.get_running_loop().create_future()
        if not woken.done():
            woken.set_result(None)

    def enter(self) -> None:
        """Begin to watch."""
        self.watching += 1
        if self.task is None or self.task.done():
            self.task = asyncio.ensure_future(self._follow(self))

    def leave(self) -> None:
        """Watch no longer; what nobody watches is no longer looked at."""
        self.watching -= 1
        if not self.watching and self.task is not None:
            self.task.cancel()
            self.task = None


class Streams:
    """The streams of all who watch; `close` ends them."""

    def __init__(self, readers: Readers, listing: Listing) -> None:
        self.readers, self.listing = readers, listing
        self._topics: dict[str, Topic] = {}
        self._list: dict[str, Any] = {}
        self.closing = False

    @property
    def are_many(self) -> bool:
        """Whether there is no place for one more."""
        return sum(topic.watching for topic in self._topics.values()) >= MOST

    async def run(self, place: Place) -> AsyncGenerator[bytes]:
        """Yield what happens to a run, beginning with how it stands."""

        async def follow(topic: Topic) -> None:
            await self._follow_run(place, topic)

        async with aclosing(self._listen(place.key, follow)) as parts:
            async for part in parts:
                yield part

    async def runs(self) -> AsyncGenerator[bytes]:
        """Yield which runs are new, or have changed, from this moment on."""
        if not self._list:
            self._list = await asyncio.to_thread(self.listing.moment)
        async with aclosing(self._listen("", self._follow_list)) as parts:
            async for part in parts:
                yield part

    def close(self) -> None:
        """End all streams."""
        self.closing = True
        for topic in self._topics.values():
            topic.wake()

    async def _listen(self, name: str, follow: Callable[[Topic], Awaitable[None]]) -> AsyncGenerator[bytes]:
        topic = self._topics.get(name)
        if topic is None:
            topic = self._topics[name] = Topic(follow)
        topic.enter()
        seen = 0
        try:
            yield b"retry: 1000\n\n"
            while not self.closing:
                changed = topic.changed
                if topic.number != seen:
                    seen = topic.number
                    yield topic.told
                    continue
                if not (await asyncio.wait([changed], timeout=ALIVE_EVERY))[0]:
                    yield b": still here\n\n"
        finally:
            topic.leave()
            if not topic.watching and self._topics.get(name) is topic:
                del self._topics[name]

    async def _follow_run(self, place: Place, topic: Topic) -> None:
        """Look at a run's files many times a second, and read only if they have changed."""
        reader = self.readers.of(place)
        seen, over, looked, told, used = None, False, 0.0, 0.0, 0.0
        last: Any = None
        while not self.closing:
            now, moment = stamp(place.path), time.monotonic()
            ready = moment - told >= max(TELL_EVERY, (reader.used - used) / SHARE)
            if ready and (now != seen or (moment - looked > STATE_EVERY and not over)):
                used = reader.used
                reader = self.readers.of(place)
                try:
                    found = await asyncio.wrap_future(reader.ask_about("brief", brief))
                except RametError as error:
                    found = {"version": None, "state": "damaged", "error": text(error, 1000)}
                seen, looked, over = now, moment, found["state"] == "ended"
                if found != last:
                    last, told = found, moment
                    topic.tell("run", found)
            await asyncio.sleep(LOOK_EVERY)

    async def _follow_list(self, topic: Topic) -> None:
        while not self.closing:
            await asyncio.sleep(LIST_EVERY)
            known, now = self._list, await asyncio.to_thread(self.listing.moment)
            changed = [key for key in {**known, **now} if known.get(key, topic) != now.get(key, topic)]
            self._list = now
            if changed:
                topic.tell("runs", {"changed": changed})
