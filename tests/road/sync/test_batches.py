"""Whole record batches: what the native engine reads and writes is what librdkafka writes and reads."""

from __future__ import annotations

import importlib
import time
import uuid
from collections.abc import Iterator
from functools import partial
from threading import Timer
from typing import Any, NamedTuple

import pytest
from confluent_kafka import KafkaException, Producer, TopicPartition
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cli.exchange import Exchange
from services.core.kafka import Topic, client_config, ensure_topics, read_to_end
from services.sync.relay.changes import Stretch
from services.sync.relay.client.messages import Backlog as ByMessages
from tests.road.town import Town, eventually

engine = pytest.importorskip("tongshu_projection", reason="no Rust has built the native engine here")
batches = importlib.import_module("services.sync.relay.client.batches")

PARTITIONS = 2
SOME = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Said(NamedTuple):
    """A record as it is written."""

    partition: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]


pieces = st.none() | st.binary(max_size=40) | st.binary(min_size=1, max_size=3).map(lambda one: one * 3_000)
# librdkafka's names end with a NUL
names = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=5)
headers = st.lists(st.tuples(names, st.none() | st.binary(max_size=9)), max_size=2)
records = st.lists(st.builds(Said, st.integers(0, PARTITIONS - 1), pieces, pieces, headers), max_size=40)


@pytest.fixture(scope="module")
def topic(town: Town) -> Iterator[str]:
    # as a change topic is named, for the relay may read no others
    name = f"cdc.bench.batches.{uuid.uuid4().hex[:8]}"
    ensure_topics(town.exchange.admin(), [Topic(name, PARTITIONS)], 1)
    yield name
    town.exchange.admin().delete_topics([name])


def login(exchange: Exchange) -> tuple[list[str], str, str, str, float]:
    config = client_config(exchange.settings, "admin")
    return [exchange.bootstrap], config["sasl.username"], config["sasl.password"], "test", 10.0


def read(exchange: Exchange, topic: str, start: dict[int, int]) -> dict[int, list[Any]]:
    """What librdkafka reads of a topic from offsets on, committed only."""
    reader, found = exchange.consumer(enable_partition_eof=True), dict[int, list[Any]]({one: [] for one in start})
    try:
        reader.assign([TopicPartition(topic, partition, offset) for partition, offset in start.items()])
        for message in read_to_end(reader, len(start)):
            found[int(message.partition() or 0)].append(message)
    finally:
        reader.close()
    return found


def fetched(fetcher: Any, topic: str, until: dict[int, int]) -> dict[int, list[tuple[Any, ...]]]:
    """What is fetched of a topic up to offsets: offset, key, value, time, headers."""
    found, ends = dict[int, list[tuple[Any, ...]]]({one: [] for one in until}), dict[int, int]()

    def more() -> bool:
        for (_, partition), one in fetcher.take(0.2, 1_000):
            rows = zip(one.offsets, one.keys, one.values, strict=True)
            found[partition] += [(*row, *one.about(number)) for number, row in enumerate(rows)]
            ends[partition] = one.end
        return all(ends.get(partition, 0) >= end for partition, end in until.items())

    eventually(more, bool, "what was written")
    return found


def ends(exchange: Exchange, topic: str) -> dict[int, int]:
    reader = exchange.consumer()
    try:
        return {one: reader.get_watermark_offsets(TopicPartition(topic, one), 10)[1] for one in range(PARTITIONS)}
    finally:
        reader.close()


def producer(exchange: Exchange, **more: Any) -> Producer:
    return Producer(client_config(exchange.settings, "admin", **more))


@SOME
@given(records, st.sampled_from(["none", "gzip", "snappy", "lz4", "zstd"]), st.integers(0, 5))
def test_what_is_read_is_what_librdkafka_reads(
    town: Town, topic: str, made: list[Said], codec: str, later: int
) -> None:
    before, writer = ends(town.exchange, topic), producer(town.exchange, compression_type=codec, linger_ms=5)
    for one in made:
        writer.produce(topic, one.value, one.key, one.partition, headers=one.headers or None)
    assert writer.flush(10) == 0
    after = ends(town.exchange, topic)
    start = {one: min(before[one] + later, after[one]) for one in before}
    fetcher = engine.Fetcher(login(town.exchange), True)
    fetcher.place([((topic, partition), offset) for partition, offset in start.items()])
    found = fetched(fetcher, topic, {one: after[one] for one in start if start[one] < after[one]})
    fetcher.end()
    for partition, messages in read(town.exchange, topic, start).items():
        assert found.get(partition, []) == [
            (one.offset(), one.key(), one.value(), one.timestamp()[1], one.headers() or [])
            for one in messages
            if one.value() is not None
        ]


@SOME
@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(1, 4)), min_size=1, max_size=6))
def test_what_comes_to_nothing_is_read_only_by_who_wants_it(
    town: Town, topic: str, made: list[tuple[bool, bool, int]]
) -> None:
    """Two producers whose transactions lie within one another: which of both, whether it commits, how many records."""
    start, names = ends(town.exchange, topic), [f"bench-batches-{uuid.uuid4().hex[:8]}" for _ in range(2)]
    writers = [producer(town.exchange, transactional_id=name) for name in names]
    is_open, said, kept = [False, False], list[bytes](), list[list[bytes]]([[], []])
    committed = set[bytes]()

    def end(one: int, commits: bool) -> None:
        if is_open[one] and commits:
            writers[one].commit_transaction(10)
            committed.update(kept[one])
        elif is_open[one]:
            writers[one].abort_transaction(10)
        is_open[one], kept[one] = False, []

    for writer in writers:
        writer.init_transactions(10)
    for second, commits, count in made:
        if not is_open[second]:
            writers[second].begin_transaction()
            is_open[second] = True
        for _ in range(count):
            value = uuid.uuid4().bytes
            writers[second].produce(topic, value, partition=0)
            said.append(value)
            kept[second].append(value)
        assert writers[second].flush(10) == 0
        if count % 2:
            end(second, commits)
    end(0, True)
    end(1, False)
    last = producer(town.exchange)
    last.produce(topic, b"last", partition=0)
    assert last.flush(10) == 0
    until = {0: ends(town.exchange, topic)[0]}
    for only_committed in (True, False):
        fetcher = engine.Fetcher(login(town.exchange), only_committed)
        fetcher.place([((topic, 0), start[0])])
        values = [value for _, _, value, _, _ in fetched(fetcher, topic, until)[0]]
        fetcher.end()
        assert values == [one for one in said if one in committed or not only_committed] + [b"last"]


@SOME
@given(st.lists(records, min_size=1, max_size=3))
def test_what_is_written_is_what_librdkafka_reads(town: Town, topic: str, made: list[list[Said]]) -> None:
    """Transactions of one writer: of single records, and of records that were gathered."""
    writer = engine.Writer(login(town.exchange), f"bench-batches-{uuid.uuid4().hex[:8]}", 30.0)
    start = ends(town.exchange, topic)
    for number, transaction in enumerate(made):
        writer.begin()
        gathered = {partition: writer.gather() for partition in range(PARTITIONS)}
        for one in transaction:
            if number % 2:
                gathered[one.partition].append({"key": one.key or b"", "value": one.value})
            else:
                writer.produce(topic, key=one.key, value=one.value, headers=one.headers, partition=one.partition)
        for partition, some in gathered.items():
            if count := len(some):
                assert list(some) == [some[at] for at in range(count)] == [
                    {"key": one.key or b"", "value": one.value} for one in transaction if one.partition == partition
                ]  # fmt: skip
                writer.deliver(topic, partition, some, (number % count, "traceparent", "00-1"))
                assert len(some) == count
        writer.flush()
        told = {partition: writer.ends(topic, partition) for partition in range(PARTITIONS)}
        writer.commit()
        for partition, messages in read(town.exchange, topic, start).items():
            wanted = [one for one in transaction if one.partition == partition]
            seen = [(one.key(), one.value(), one.headers() or []) for one in messages]
            if number % 2:
                traced = [("traceparent", b"00-1")]
                followed = number % len(wanted) if wanted else 0
                assert seen == [
                    (one.key or b"", one.value, traced if at == followed else []) for at, one in enumerate(wanted)
                ]
            else:
                assert seen == [(one.key, one.value, one.headers) for one in wanted]
            assert told[partition] == ((messages[0].offset(), messages[-1].offset()) if messages else None)
        start = ends(town.exchange, topic)


@SOME
@given(
    st.lists(st.tuples(st.booleans(), records), min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(0, PARTITIONS - 1), st.floats(0, 1), st.booleans()), max_size=6),
    st.booleans(),
)
def test_who_catches_up_gets_all_up_to_the_stream_and_nothing_behind(
    town: Town,
    topic: str,
    made: list[tuple[bool, list[Said]]],
    turns: list[tuple[int, float, bool]],
    only_committed: bool,
) -> None:
    """Transactions, each of which commits or not; then whose turn it is, where the live stream stands by then as a part
    of it all, and whether nothing is read for a while afterwards."""
    start, name = ends(town.exchange, topic), f"bench-batches-{uuid.uuid4().hex[:8]}"
    writer = producer(town.exchange, transactional_id=name)
    writer.init_transactions(10)
    for commits, said in made:
        writer.begin_transaction()
        for one in said:
            writer.produce(topic, one.value, one.key, one.partition)
        assert writer.flush(10) == 0
        writer.commit_transaction(10) if commits else writer.abort_transaction(10)
    until = ends(town.exchange, topic)
    counts = [one for commits, said in made if commits or not only_committed for one in said if one.value is not None]
    wanted = {number: [(one.key, one.value) for one in counts if one.partition == number] for number in start}
    for backlog_of in (batches.Backlog, ByMessages):
        backlog = backlog_of(town.exchange.settings, "test", committed=only_committed)
        found, at = {number: list[Any]() for number in start}, dict(start)
        for number, stand, rests in (*turns, *((number, 1, False) for number in start)):
            before = start[number] + int((until[number] - start[number]) * stand)
            if before > at[number]:
                eventually(partial(read_on, backlog, (topic, number), at, before, found), bool, "what stands before")
            if rests:
                backlog.rest()
        backlog.rest()
        assert found == wanted


def read_on(
    backlog: Any, where: tuple[str, int], at: dict[int, int], before: int, found: dict[int, list[tuple[Any, Any]]]
) -> bool:
    """Read a slice of a partition from where it is `at`; whether that was all that stands before an offset."""
    start, stretch = at[where[1]], Stretch(where, at[where[1]], [])
    backlog.fill(stretch, before)
    assert start <= stretch.end <= before
    assert all(start <= offset < stretch.end for offset in stretch.offsets)
    found[where[1]] += zip(stretch.keys or (), stretch.values, strict=True)
    at[where[1]] = stretch.end
    return stretch.end == before


def test_what_is_large_goes_in_several_batches(town: Town, topic: str) -> None:
    writer = engine.Writer(login(town.exchange), f"bench-batches-{uuid.uuid4().hex[:8]}", 30.0)
    start, values = ends(town.exchange, topic), [uuid.uuid4().bytes * 10_000 for _ in range(40)]
    for value in values:
        writer.produce(topic, key="k", value=value, partition=0)
    writer.flush()
    first, last = writer.ends(topic, 0)
    writer.commit()
    messages = read(town.exchange, topic, start)[0]
    assert [one.value() for one in messages] == values
    assert (first, last) == (messages[0].offset(), messages[-1].offset())


def test_keys_are_placed_where_librdkafka_places_them(town: Town, topic: str) -> None:
    writer = engine.Writer(login(town.exchange), f"bench-batches-{uuid.uuid4().hex[:8]}", 30.0)
    other, start = producer(town.exchange, partitioner="murmur2_random"), ends(town.exchange, topic)
    keys = [f"密钥{number}" for number in range(50)]
    for key in keys:
        writer.produce(topic, key=key, value=b"ours")
        other.produce(topic, b"theirs", key)
    writer.commit()
    assert other.flush(10) == 0
    for messages in read(town.exchange, topic, start).values():
        ours, theirs = ({one.key() for one in messages if one.value() == whose} for whose in (b"ours", b"theirs"))
        assert ours == theirs


def test_who_is_succeeded_writes_nothing(town: Town, topic: str) -> None:
    name, start = f"bench-batches-{uuid.uuid4().hex[:8]}", ends(town.exchange, topic)
    first = engine.Writer(login(town.exchange), name, 30.0)
    first.produce(topic, key="k", value=b"first", partition=0)
    first.flush()
    second = engine.Writer(login(town.exchange), name, 30.0)
    with pytest.raises(KafkaException):
        first.commit()
    second.produce(topic, key="k", value=b"second", partition=0)
    second.commit()
    assert [one.value() for one in read(town.exchange, topic, start)[0]] == [b"second"]


def test_a_member_that_is_no_more_commits_nothing(town: Town, topic: str) -> None:
    writer = engine.Writer(login(town.exchange), f"bench-batches-{uuid.uuid4().hex[:8]}", 30.0)
    writer.produce(topic, key="k", value=b"v", partition=0)
    writer.send_offsets(f"bench.{uuid.uuid4().hex[:8]}", "gone", 7, [(topic, 0, 1, "")])
    with pytest.raises(KafkaException, match="to commit offsets"):
        writer.commit()


def test_a_topic_that_comes_later_and_an_offset_that_is_gone(town: Town) -> None:
    name, admin = f"bench.batches.{uuid.uuid4().hex[:8]}", town.exchange.admin()
    fetcher = engine.Fetcher(login(town.exchange), True)
    fetcher.place([((name, partition), 0) for partition in range(PARTITIONS)])
    assert fetcher.take(0.1, 100) == []
    ensure_topics(admin, [Topic(name, PARTITIONS)], 1)
    writer = producer(town.exchange)
    for number in range(4):
        writer.produce(name, f"{number}".encode(), partition=0)
    assert writer.flush(10) == 0
    assert [value for _, _, value, _, _ in fetched(fetcher, name, {0: 4})[0]] == [b"0", b"1", b"2", b"3"]
    admin.delete_records([TopicPartition(name, 0, 3)])[TopicPartition(name, 0, 3)].result(10)
    fetcher.place([((name, 0), 1)])
    assert [value for _, _, value, _, _ in fetched(fetcher, name, {0: 4})[0]] == [b"3"]
    fetcher.leave([(name, 0)])
    writer.produce(name, b"4", partition=0)
    assert writer.flush(10) == 0
    assert fetcher.take(0.5, 100) == []
    fetcher.end()
    admin.delete_topics([name])


def test_more_is_waited_for_until_there_is_enough_or_the_time_is_over(town: Town, topic: str) -> None:
    def write(count: int) -> None:
        for _ in range(count):
            writer.produce(topic, b"v", partition=1)
        assert writer.flush(10) == 0

    def taken(most: int, gather_seconds: float) -> int:
        return sum(len(one.values) for _, one in fetcher.take(10, most, gather_seconds=gather_seconds))

    writer, fetcher = producer(town.exchange), engine.Fetcher(login(town.exchange), True)
    fetcher.place([((topic, 1), ends(town.exchange, topic)[1])])
    later = Timer(0.5, write, [3])
    write(2)
    later.start()
    begun = time.monotonic()
    assert taken(5, 60) == 5
    assert time.monotonic() - begun < 30
    later.join()
    write(2)
    assert taken(100, 0.5) == 2
    write(2)
    assert taken(1, 60) >= 1
    fetcher.end()


def test_who_may_not_log_in_is_told(town: Town) -> None:
    addresses, user, _, *rest = login(town.exchange)
    with pytest.raises(KafkaException, match="invalid credentials"):
        engine.Writer((addresses, user, "wrong", *rest), "bench-batches-none", 30.0)
