"""The push: one picture kept fresh for each web process, encoded once for an area and tick, sent to all."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import count

import psycopg
import redis.asyncio
from redis.exceptions import RedisError

from dashboard.data import Changes, CityReads, Directory
from dashboard.live.minute import Minute
from dashboard.live.picture import WHISTLES_OVER, Picture
from dashboard.live.queue import DeskLine, overdue
from dashboard.live.tiles import WHISTLED_SPAN, tiles
from dispatch.desk.nudges import CHANNEL

GATHER_EVERY_S = 0.1  # at most this often, however often the stream nudges
LOOK_EVERY_S = 1.0  # without any nudge
PUSH_EVERY_S = 0.2  # for one area
BEAT_EVERY_S = 5.0
DIRECTORY_EVERY_S = 60.0
RETRY_FIRST_S, RETRY_LONGEST_S = 0.5, 3.0  # so much later than its server at most a wall comes back
SAY_AGAIN_S = 60.0
KEYS_EVERY_S = 5.0
STREAM_LOOK_S, STREAM_PATIENCE_S = 2.0, 3.0
CHANNELS_LIMIT = 5_000

log = logging.getLogger(__name__)


class Client:
    """One open stream. `slot` is the next message, at most one; what does not fit becomes a full picture later."""

    __slots__ = ("behind", "closed", "key", "slot", "wake")

    def __init__(self, key: str | None) -> None:
        self.key = key
        self.slot: bytes | None = None
        self.behind = True  # begins with a full picture
        self.closed = False
        self.wake = asyncio.Event()
        self.wake.set()

    def offer(self, message: bytes, beat: bytes) -> None:
        """Put a message into the slot; where one still waits, the client gets a full picture instead."""
        if self.slot is None or self.slot is beat:
            self.slot = message
        else:
            self.slot, self.behind = None, True
        self.wake.set()

    def close(self) -> None:
        """End the stream at its next turn."""
        self.closed = True
        self.wake.set()


class _Channel:
    """Everybody who looks at one area in one language: its tiles as last sent, and the number of that tick."""

    __slots__ = ("area", "clients", "full", "lang", "pushed", "tick", "tiles", "waits")

    def __init__(self, area: str, lang: str) -> None:
        self.area, self.lang = area, lang
        self.clients: set[Client] = set()
        self.tiles: dict[str, bytes] = {}
        self.full: bytes | None = None
        self.tick = 0
        self.pushed = 0.0
        self.waits = False


class _Desk:
    """Everybody who looks at the queue of one desk in one language."""

    __slots__ = ("clients", "known", "line", "tick")

    def __init__(self, line: DeskLine) -> None:
        self.line = line
        self.clients: set[Client] = set()
        self.known = False  # the line holds what the picture does
        self.tick = 0


class Live:
    """Keep the picture fresh and push it; one for each web process, inside its event loop."""

    def __init__(self, reads: CityReads, redis_url: str | None, demo: bool) -> None:
        self._reads, self._redis_url, self._demo = reads, redis_url, demo
        self._picture: Picture | None = None
        self._minute: Minute | None = None
        self._channels: dict[tuple[str, str], _Channel] = {}
        self._desks: dict[tuple[str, str], _Desk] = {}
        self._nudge = asyncio.Event()
        self._epoch = int(time.time())
        self._beat = b""
        self._as_of = datetime.now(UTC)
        self._stream_at = self._as_of  # when the stream last answered
        self._ready = asyncio.Event()
        self.pushes = 0
        self.bytes_sent = 0

    @property
    def picture(self) -> Picture | None:
        """Return the picture, or None before the first look."""
        return self._picture

    @property
    def clients(self) -> int:
        """Return how many streams are open."""
        return sum(map(len, self._crowds()))

    @property
    def age_s(self) -> float:
        """Return how many seconds ago the picture was last known to be true."""
        return (datetime.now(UTC) - self._as_of).total_seconds()

    def _known(self, now: datetime) -> datetime:
        """Return as of when the picture is known to be true, looked at now.

        What waits in front of a stream that does not answer is in no row: without it the city is as old as it is.
        """
        if self._redis_url and now - self._stream_at > timedelta(seconds=STREAM_LOOK_S + STREAM_PATIENCE_S):
            return min(now, max(self._as_of, self._stream_at))
        return now

    def knows(self, area: str) -> bool:
        """Tell whether there is such an area."""
        return self._picture is not None and area in self._picture.directory.areas

    def pressing(self, area: str) -> dict[str, int] | None:
        """Return path of a page -> how many of an area's cases there are past their limit; None where it is not known.

        A picture that stands still knows nothing of now: an old number is a false one.
        """
        picture = self._picture
        if picture is None or self.age_s > STREAM_LOOK_S + STREAM_PATIENCE_S:
            return None
        counts = picture.counts.get(area)
        return {
            "workbench": overdue(picture, area),
            "whistles": 0 if counts is None else counts[WHISTLES_OVER],
        }

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the picture while inside; it starts by itself as soon as the database answers."""
        tasks = [asyncio.create_task(self._follow()), asyncio.create_task(self._beats())]
        if self._redis_url:
            tasks.append(asyncio.create_task(self._listen(self._redis_url)))
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ready.wait(), 10)
        try:
            yield
        finally:
            for crowd in self._crowds():
                for client in crowd:
                    client.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def stream(self, area: str, lang: str, client: Client) -> AsyncIterator[bytes]:
        """Yield the messages for one client until it is closed: a full picture first, then what changes."""
        channel = self._channels.get((area, lang))
        if channel is None:
            if len(self._channels) >= CHANNELS_LIMIT:
                self._forget_empty()
            channel = self._channels[area, lang] = _Channel(area, lang)
        channel.clients.add(client)
        try:
            yield b"retry: 2000\n\n"
            while not client.closed:
                await client.wake.wait()
                client.wake.clear()
                if client.closed:
                    break
                message, client.slot = client.slot, None
                if client.behind:
                    full = self._full(channel)
                    if full is not None:
                        client.behind = False
                        yield full
                elif message is not None:
                    yield message
        finally:
            channel.clients.discard(client)
            if not channel.clients:
                # Nobody looks: nothing is computed for this area until somebody does.
                self._channels.pop((area, lang), None)

    async def desk(self, area: str, lang: str, client: Client) -> AsyncIterator[bytes]:
        """Yield the queue of a desk to one client until it is closed: the whole first, then rows that change."""
        desk = self._desks.get((area, lang))
        if desk is None:
            desk = self._desks[area, lang] = _Desk(DeskLine(area, lang))
        desk.clients.add(client)
        try:
            yield b"retry: 2000\n\n"
            while not client.closed:
                await client.wake.wait()
                client.wake.clear()
                if client.closed:
                    break
                message, client.slot = client.slot, None
                if client.behind:
                    if self._picture is not None:
                        client.behind = False
                        yield self._whole(desk, self._picture)
                elif message is not None:
                    yield message
        finally:
            desk.clients.discard(client)
            if not desk.clients:
                self._desks.pop((area, lang), None)

    async def check_keys(self) -> None:
        """Close streams whose key has been revoked."""
        keyed = [c for channel in self._channels.values() for c in channel.clients if c.key is not None]
        if keyed:
            valid = await asyncio.to_thread(self._reads.wall_keys)
            for client in keyed:
                if client.key not in valid:
                    client.close()

    async def _follow(self) -> None:
        """Gather, fold, push; after a fault wait a little longer each time and begin with a whole new picture.

        Meanwhile the old picture stays, and its age tells every browser that it is old.
        """
        pause_s = RETRY_FIRST_S
        logged, logged_at = "", 0.0
        while True:
            try:
                await self._renew()
                pause_s = RETRY_FIRST_S
                logged = ""
                await self._go_on()
                continue
            except Exception as fault:
                # Whatever it is, walls must come back by themselves once it is mended.
                expected = isinstance(fault, (psycopg.Error, OSError, LookupError, ValueError))
                reason = str(fault).partition("\n")[0]
                # The same again and again tells nobody more: once, and then once a minute.
                if reason != logged or time.monotonic() - logged_at > SAY_AGAIN_S:
                    logged, logged_at = reason, time.monotonic()
                    log.warning("the live picture stands still: %s", reason, exc_info=not expected)
                if isinstance(fault, LookupError) and os.environ.get("DEMO") == "0":
                    # No city is there and none is on its way: the pages that say so need not wait for it.
                    self._ready.set()
            await asyncio.sleep(pause_s)
            # Before the first picture the city is only being loaded: looking often costs little and saves seconds.
            pause_s = RETRY_FIRST_S if self._picture is None else min(pause_s * 2, RETRY_LONGEST_S)

    async def _renew(self) -> None:
        """Read everything anew and send it to everybody."""
        now = datetime.now(UTC)

        def gather() -> tuple[Picture, Minute]:
            directory = self._reads.directory()
            picture = Picture(directory, self._reads.snapshot(directory.calendar.midnight(now)), now)
            return picture, self._look_around(directory, now, None)

        picture, minute = await asyncio.to_thread(gather)
        self._picture, self._minute = picture, minute
        picture.take_dirty()
        picture.take_touched()
        self._as_of = self._known(datetime.now(UTC))
        for channel in self._channels.values():
            channel.full = None
            channel.tiles = {}
            for client in channel.clients:
                client.slot, client.behind = None, True
                client.wake.set()
        for desk in self._desks.values():
            desk.known = False
            for client in desk.clients:
                client.slot, client.behind = None, True
                client.wake.set()
        self._ready.set()

    async def _go_on(self) -> None:
        """Follow the city until its day ends or too much happened at once."""
        picture = self._picture
        assert picture is not None
        # Walls stand before the day that today is held against has been read.
        await self._look_back(datetime.now(UTC))
        next_minute = time.monotonic() + DIRECTORY_EVERY_S
        next_keys = time.monotonic() + KEYS_EVERY_S
        while True:
            begun = time.monotonic()
            changes = await asyncio.to_thread(self._reads.changes, picture.cursor)
            now = datetime.now(UTC)
            if changes is None or picture.directory.calendar.midnight(now) != picture.midnight:
                return
            self._fold(changes)
            picture.advance(now)
            self._as_of = self._known(now)
            if time.monotonic() >= next_keys:
                await self.check_keys()
                next_keys = time.monotonic() + KEYS_EVERY_S
            if time.monotonic() >= next_minute:
                await self._every_minute(now)
                next_minute = time.monotonic() + DIRECTORY_EVERY_S
            late = self._push()
            self._push_desks()
            spent = time.monotonic() - begun
            if spent < GATHER_EVERY_S:
                await asyncio.sleep(GATHER_EVERY_S - spent)
            if not late:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._nudge.wait(), LOOK_EVERY_S - GATHER_EVERY_S)
            self._nudge.clear()

    def _fold(self, changes: Changes) -> None:
        picture = self._picture
        assert picture is not None
        for row in changes.rows:
            picture.fold(row)
            # A history, a replay: the day that today is held against may have changed.
            picture.past_written |= row.last_at < picture.midnight
        for each in changes.raised:
            picture.raise_(each)
        if changes.wartime is not None:
            picture.declare(changes.wartime)
        picture.cursor = changes.cursor

    async def _every_minute(self, now: datetime) -> None:
        picture = self._picture
        assert picture is not None

        def gather() -> tuple[Directory, Minute]:
            directory = self._reads.directory()
            return directory, self._look_around(directory, now, self._minute)

        picture.directory, self._minute = await asyncio.to_thread(gather)
        if picture.past_written:
            await self._look_back(now)
        picture.dirty.update(channel.area for channel in self._channels.values())

    async def _look_back(self, now: datetime) -> None:
        """Read the day that today is held against, and tell every wall."""
        picture = self._picture
        assert picture is not None
        picture.look_back(await asyncio.to_thread(self._reads.past, picture.midnight))
        picture.advance(now)
        picture.dirty.update(channel.area for channel in self._channels.values())

    def _look_around(self, directory: Directory, now: datetime, before: Minute | None) -> Minute:
        calendar = directory.calendar
        month = calendar.begins(calendar.local(now).date().replace(day=1))
        reads = self._reads
        whistled = reads.whistled(now - WHISTLED_SPAN)
        return Minute.of(directory, reads.disposals(month), now, before, reads.late(month), whistled)

    def _push(self) -> bool:
        """Send what changed to every area that is looked at; tell whether some area must wait for its turn."""
        picture = self._picture
        assert picture is not None
        dirty = picture.take_dirty()
        now = time.monotonic()
        late = False
        for channel in self._channels.values():
            if not channel.tiles or not (channel.waits or channel.area in dirty):
                continue
            if now - channel.pushed < PUSH_EVERY_S - 0.01:
                channel.waits = late = True
                continue
            channel.waits = False
            fresh = self._tiles(channel)
            changed = [(name, body) for name, body in fresh.items() if channel.tiles.get(name) != body]
            if not changed:
                continue
            channel.tiles = fresh
            channel.full = None
            channel.tick += 1
            channel.pushed = now
            message = self._message(channel, _joined(changed))
            self.pushes += 1
            self.bytes_sent += len(message) * len(channel.clients)
            for client in channel.clients:
                client.offer(message, self._beat)
        return late

    def _push_desks(self) -> None:
        """Send rows that changed to every desk that is looked at; they come at most once a gathering."""
        picture = self._picture
        assert picture is not None
        touched = picture.take_touched()
        for desk in self._desks.values():
            if not desk.known or not touched:
                continue
            payload = desk.line.changed(picture, touched)
            if payload is None:
                continue
            desk.tick += 1
            message = self._framed(desk, payload)
            for client in desk.clients:
                client.offer(message, self._beat)

    def _whole(self, desk: _Desk, picture: Picture) -> bytes:
        payload = desk.line.whole() if desk.known else desk.line.renew(picture)
        desk.known = True
        return self._framed(desk, b'"full":true,' + payload)

    def _framed(self, desk: _Desk, payload: bytes) -> bytes:
        return b'data: {"n":%d,%s,%s}\n\n' % (desk.tick, self._times(), payload)

    def _tiles(self, channel: _Channel) -> dict[str, bytes]:
        assert self._picture is not None
        assert self._minute is not None
        return tiles(self._picture, self._minute, channel.area, channel.lang, self._demo)

    def _full(self, channel: _Channel) -> bytes | None:
        if self._picture is None or not self.knows(channel.area):
            return None
        if channel.full is None:
            if not channel.tiles:
                channel.tiles = self._tiles(channel)
            channel.full = _joined(channel.tiles.items())
        return self._message(channel, channel.full, b'"full":true,')

    def _message(self, channel: _Channel, payload: bytes, kind: bytes = b"") -> bytes:
        return b'id: %d-%d\ndata: {%s"n":%d,%s,"tiles":{%s}}\n\n' % (
            self._epoch, channel.tick, kind, channel.tick, self._times(), payload,
        )  # fmt: skip

    def _times(self) -> bytes:
        return b'"now":%d,"at":%d' % (round(time.time() * 1000), round(self._as_of.timestamp() * 1000))

    async def _beats(self) -> None:
        """Tell every client the data's time, a part of them at each turn so that nobody waits behind all others."""
        turns = round(BEAT_EVERY_S / PUSH_EVERY_S)
        for turn in count():
            await asyncio.sleep(PUSH_EVERY_S)
            self._beat = b"data: {%s}\n\n" % self._times()
            for number, crowd in enumerate(self._crowds()):
                # A crowd on one area is split as well.
                for place, client in enumerate(crowd):
                    if (number + place + turn) % turns == 0 and client.slot is None and not client.behind:
                        client.slot = self._beat
                        client.wake.set()

    async def _listen(self, url: str) -> None:
        """Hear the stream's nudges; without them the picture looks by itself once a second."""
        pause_s = RETRY_FIRST_S
        while True:
            client = redis.asyncio.Redis.from_url(url)
            try:
                async with client.pubsub() as heard:
                    await asyncio.wait_for(heard.subscribe(CHANNEL), STREAM_PATIENCE_S)
                    looked = 0.0
                    while True:
                        # A stream that hangs answers nothing and breaks no line: it is asked.
                        if time.monotonic() - looked >= STREAM_LOOK_S:
                            await asyncio.wait_for(client.ping(), STREAM_PATIENCE_S)
                            looked, self._stream_at = time.monotonic(), datetime.now(UTC)
                            pause_s = RETRY_FIRST_S
                        if await heard.get_message(timeout=STREAM_LOOK_S) is not None:
                            self._nudge.set()
            except (RedisError, OSError, TimeoutError) as fault:
                log.warning("no nudges from the stream: %s", fault or type(fault).__name__)
            finally:
                with suppress(RedisError, OSError, TimeoutError):
                    await asyncio.wait_for(client.aclose(), STREAM_PATIENCE_S)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, RETRY_LONGEST_S)

    def _crowds(self) -> list[set[Client]]:
        return [each.clients for each in self._channels.values()] + [
            each.clients for each in self._desks.values()
        ]

    def _forget_empty(self) -> None:
        for key in [key for key, channel in self._channels.items() if not channel.clients]:
            del self._channels[key]


def _joined(parts: Iterable[tuple[str, bytes]]) -> bytes:
    return b",".join(b'"%s":%s' % (name.encode(), body) for name, body in parts)
