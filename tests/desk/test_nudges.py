"""Proves that nudges reach who listens by one connection, wait for no answer, and go on after the stream was away."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from dispatch.desk.nudges import CHANNEL, Nudges
from tests.conftest import Away

PATIENCE_S = 60.0
NAME = "who-nudges"
MANY = 3_000


@pytest.fixture
def client(stream: redis.Redis, stream_url: str) -> Iterator[redis.Redis]:
    """Give the test a client whose connections bear a name."""
    made = redis.Redis.from_url(stream_url, client_name=NAME)
    yield made
    made.close()


def connections(stream: redis.Redis) -> int:
    return sum(each["name"] == NAME for each in stream.client_list())


def heard(listener: redis.client.PubSub, count: int) -> list[int]:
    messages = [listener.get_message(timeout=PATIENCE_S) for _ in range(count)]
    return [int(message["data"]) for message in messages if message]


def listening(stream: redis.Redis) -> redis.client.PubSub:
    listener: redis.client.PubSub = stream.pubsub()  # type: ignore[no-untyped-call]
    listener.subscribe(CHANNEL)
    assert listener.get_message(timeout=PATIENCE_S)
    return listener


def test_every_nudge_is_heard_in_its_order_by_one_connection(
    stream: redis.Redis, client: redis.Redis
) -> None:
    """However many answers nobody waited for."""
    listener, nudges = listening(stream), Nudges(client)
    for number in range(MANY):
        nudges.send(number)
    assert heard(listener, MANY) == list(range(MANY))
    assert connections(stream) == 1
    nudges.close()
    nudges.send(7)
    assert heard(listener, 1) == [7]
    assert connections(stream) == 1
    listener.close()


def test_a_stream_that_is_away_is_nobodys_fault_and_hears_the_next_nudge_when_it_is_back(
    stream: redis.Redis, client: redis.Redis, away: Away
) -> None:
    nudges = Nudges(client)
    nudges.send(1)
    with away("stream"):
        nudges.send(2)
        nudges.send(3)
    listener = listening(stream)
    nudges.send(4)
    assert heard(listener, 1) == [4]
    nudges.close()
    listener.close()
