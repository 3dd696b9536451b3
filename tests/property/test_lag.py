"""How lag is judged, where it tends, and what is remembered of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from confluent_kafka import KafkaError, TopicPartition
from hypothesis import assume, given
from hypothesis import strategies as st

from services.watch.domain.book import Book, Found, Group, Look, Nothing
from services.watch.domain.flow import BOUNDS, Latencies, Meter
from services.watch.domain.history import COARSE_SECONDS, FINE_SECONDS, KEPT_SECONDS, Curve, Ends, Point
from services.watch.domain.lag import Rules, Sample, Status, Trend, estimate, judge, of_group
from services.watch.unread import FirstRecords

RULES = Rules(window_seconds=60, fresh_seconds=5)
EVERY = 3.0
SAMPLES = 22
"""Enough to span a window."""

growths = st.lists(st.integers(0, 500), min_size=SAMPLES, max_size=SAMPLES)


def window(reads: Sequence[int], writes: Sequence[int], behind: int = 1) -> list[Sample]:
    """A group that reads at most so much, and a topic that gets so much, from sample to sample."""
    committed, end, found = 1_000, 1_000 + behind, list[Sample]()
    for place, (read, written) in enumerate(zip(reads, writes, strict=True)):
        end += written
        committed = min(end, committed + read)
        found.append(Sample(place * EVERY, committed, end, end - committed))
    return found


def verdict(samples: Sequence[Sample], *, members: bool = True, waited: float = 60.0) -> Status:
    return judge(samples, members=members, waited=waited, has_leader=True, rules=RULES).status


# -- the rules -------------------------------------------------------------------------------------------------------


@given(growths, growths, st.booleans(), st.floats(0, 1e6))
def test_whoever_had_read_all_within_the_window_does_well(
    reads: list[int], writes: list[int], members: bool, waited: float
) -> None:
    samples = window(reads, writes)
    assume(any(one.lag == 0 for one in samples))
    assert verdict(samples, members=members, waited=waited) is Status.OK


@given(growths, st.integers(1, 10**9), st.booleans())
def test_a_group_that_stands_is_told_as_stopped_or_stalled(writes: list[int], behind: int, members: bool) -> None:
    samples = window([0] * SAMPLES, writes, behind)
    assert verdict(samples, members=members) is (Status.STALL if members else Status.STOP)


@given(growths, st.integers(2, SAMPLES - 3), st.integers(1, 100))
def test_a_stand_is_not_told_before_it_was_watched_for_a_window(writes: list[int], seen: int, behind: int) -> None:
    samples = window([0] * SAMPLES, writes, behind)[:seen]
    assume(samples[-1].at < 0.9 * RULES.window_seconds)
    assert verdict(samples, members=True) is Status.OK
    assert verdict(samples, members=False, waited=RULES.window_seconds - 1) is Status.OK
    # but nobody is there, and what waits has waited for longer
    assert verdict(samples, members=False, waited=RULES.window_seconds + 1) is Status.STOP


def burrow_warns(samples: Sequence[Sample]) -> bool:
    """Burrow's rule 5 (checkIfLagNotDecreasing) over the samples at which a commit shows."""
    commits = [after for before, after in pairwise(samples) if before.committed != after.committed]
    return len(commits) >= 4 and all(after.lag >= before.lag for before, after in pairwise(commits))


@given(st.lists(st.integers(1, 50), min_size=SAMPLES, max_size=SAMPLES), growths, st.integers(100, 10_000))
def test_what_burrow_warns_of_is_warned_of(reads: list[int], more: list[int], behind: int) -> None:
    samples = window(reads, [read + extra for read, extra in zip(reads, more, strict=True)], behind)
    assert burrow_warns(samples)
    assert verdict(samples) is Status.WARN
    # what is never older than a moment is kept up with
    assert verdict(samples, waited=RULES.fresh_seconds) is Status.OK


@given(st.integers(5, 50), st.integers(0, 3), st.integers(100_000, 10**6))
def test_whoever_catches_up_between_commits_now_and_then_is_not_warned_of(read: int, every: int, behind: int) -> None:
    """Commits come every few samples only; between them the lag grows, though the group gains on it."""
    reads = [read * (every + 1) if place % (every + 1) == every else 0 for place in range(SAMPLES)]
    samples = window(reads, [read // 2] * SAMPLES, behind)
    assert verdict(samples) is Status.OK


@given(growths, st.integers(1, SAMPLES - 2), st.integers(1, 900), st.integers(0, 899))
def test_an_offset_that_went_back_is_an_error_until_it_is_made_good(
    writes: list[int], at: int, by: int, regained: int
) -> None:
    samples = window([0] * SAMPLES, writes, 10)
    back = [
        Sample(one.at, 1_000 - by + (min(regained, by) if place == SAMPLES - 1 else 0), one.end, one.lag + by)
        for place, one in enumerate(samples)
        if place >= at
    ]
    made_good = min(regained, by) == by
    assert (verdict([*samples[:at], *back]) is Status.ERR) == (not made_good)


def test_what_nobody_can_know_is_an_error() -> None:
    (last,) = window([0], [0])
    assert judge([last], members=True, waited=0, has_leader=False, rules=RULES).status is Status.ERR
    unknown = Sample(0, None, 10, 10)
    assert verdict([unknown], waited=RULES.window_seconds) is Status.ERR
    assert verdict([unknown], waited=1) is Status.OK
    beyond = [Sample(place * EVERY, 50, 10, 0) for place in range(SAMPLES)]
    assert verdict(beyond) is Status.ERR
    assert verdict(beyond[:3]) is Status.OK


# -- estimates -------------------------------------------------------------------------------------------------------


@given(st.integers(20, 200), st.floats(0, 0.8), st.integers(1, 4), st.integers(10_000, 1_000_000))
def test_the_time_to_clear_comes_true(read: int, share: float, commits_every: int, behind: int) -> None:
    written = int(read * share)
    reads = [read * commits_every if place % commits_every == commits_every - 1 else 0 for place in range(SAMPLES)]
    samples = window(reads, [written] * SAMPLES, behind)
    told = estimate(samples)
    true = samples[-1].lag / ((read - written) / EVERY)
    assert told.eta_seconds is not None
    assert abs(told.eta_seconds - true) <= 0.25 * true
    assert told.trend in (Trend.SHRINKING, Trend.STEADY)


@given(st.integers(0, 100), st.integers(1, 100), st.integers(1, 10**6))
def test_a_lag_that_grows_is_never_over(read: int, more: int, behind: int) -> None:
    told = estimate(window([read] * SAMPLES, [read + more] * SAMPLES, behind))
    assert told.eta_seconds is None
    growth = SAMPLES * more
    if growth > 0.1 * (behind + growth):
        assert told.trend is Trend.GROWING


@given(growths, growths)
def test_what_is_clear_is_clear(reads: list[int], writes: list[int]) -> None:
    samples = window([*reads[:-1], 10**9], writes)
    told = estimate(samples)
    assert told.eta_seconds == 0.0
    assert told.trend is not Trend.GROWING


# -- the book --------------------------------------------------------------------------------------------------------


def look(at: float, committed: dict[int, int], ends: dict[int, int], members: int = 1) -> Look:
    group = Group("d.g", "STABLE", "consumer", members, {}, {("t", one): offset for one, offset in committed.items()})
    return Look(at, [group], {("t", one): 0 for one in ends}, {("t", one): end for one, end in ends.items()})


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=8), st.integers(0, 5))
def test_a_group_is_as_bad_as_its_worst_and_clear_when_its_slowest_is(
    partitions: list[tuple[int, int]], rounds: int
) -> None:
    book = Book(RULES)
    for place in range(rounds + 2):
        committed = {number: 100 + read * place for number, (read, _) in enumerate(partitions)}
        ends = {number: committed[number] + behind for number, (_, behind) in enumerate(partitions)}
        (told,) = book.enter(look(place * EVERY, committed, ends), {})
    parts = told.partitions
    assert told.lag.verdict.status.severity == max(one.verdict.status.severity for one in parts)
    assert told.lag.records == sum(behind for _, behind in partitions)
    assert told.lag.seconds == max(one.seconds for one in parts)
    times = [one.estimate.eta_seconds for one in parts]
    assert told.lag.estimate.eta_seconds == (None if None in times else max(one for one in times if one is not None))
    assert 1.0 <= told.lag.skew <= len(partitions) + 1e-9
    assert of_group(parts) == told.lag


@given(st.integers(1, 5), st.floats(0, 1e5))
def test_markers_at_the_end_of_a_topic_are_no_lag(markers: int, idle: float) -> None:
    book = Book(RULES)
    for at in (0.0, idle, idle + RULES.window_seconds, idle + 2 * RULES.window_seconds):
        (told,) = book.enter(look(at, {0: 100}, {0: 100 + markers}, 0), {(("t", 0), 100): Nothing(100 + markers)})
    assert (told.lag.records, told.lag.seconds, told.lag.verdict.status) == (0, 0.0, Status.OK)
    assert told.lag.estimate.eta_seconds == 0.0


@given(st.floats(1, 1e6), st.floats(0, 1e6))
def test_seconds_are_those_of_the_first_record_that_is_not_committed(now: float, age: float) -> None:
    first: Found[Any] = Found(105, now - age)
    (told,) = Book(RULES).enter(look(now, {0: 100}, {0: 200}), {(("t", 0), 100): first})
    assert told.lag.exact
    assert abs(told.lag.seconds - age) < 1e-3


def test_a_group_that_was_stopped_and_reads_on_is_well_at_once() -> None:
    book = Book(RULES)
    for place in range(30):
        (told,) = book.enter(look(place * EVERY, {0: 100}, {0: 200}, 0), {})
    assert told.lag.verdict.status is Status.STOP
    assert told.lag.seconds >= 60
    (told,) = book.enter(look(31 * EVERY, {0: 200}, {0: 200}, 1), {})
    assert (told.lag.verdict.status, told.lag.records, told.lag.seconds) == (Status.OK, 0, 0.0)


# -- memory ----------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.floats(0.5, 30), st.integers(0, 10**6)), min_size=1, max_size=600))
def test_a_curve_is_bounded_and_keeps_its_peaks(steps: list[tuple[float, int]]) -> None:
    curve, at, all_ = Curve(), 0.0, list[Point]()
    for pause, records in steps:
        at += pause
        all_.append(Point(at, records, records / 10, 0, 0))
        curve.append(all_[-1])
    kept = curve.points()
    assert [one.at for one in kept] == sorted(one.at for one in kept)
    assert len(kept) <= KEPT_SECONDS / COARSE_SECONDS + FINE_SECONDS / 0.5 + 2
    recent = [one for one in all_ if one.at >= at - KEPT_SECONDS + COARSE_SECONDS]
    assert max(one.records for one in kept) >= max(one.records for one in recent)
    assert kept[-1] == all_[-1]
    assert curve.points(at) == [all_[-1]]


@given(st.lists(st.integers(0, 40), min_size=1, max_size=800), st.data())
def test_the_age_of_an_offset_lies_between_the_looks_before_and_after(growth: list[int], data: st.DataObject) -> None:
    ends, end, looks = Ends(), 5, list[tuple[float, int]]()
    for place, more in enumerate(growth):
        end += more
        looks.append((place * EVERY, end))
        ends.append(*looks[-1])
    offset = data.draw(st.integers(0, end + 3))
    came = ends.came_at(offset)
    if offset >= end:
        assert came is None
        return
    after = next(at for at, seen in looks if seen > offset)
    assert came is not None
    # the older it is, the less well it is known: never later than seen
    assert came <= after + EVERY * max(1, len(looks) / 50)
    if offset < looks[0][1]:
        assert came == 0.0


@given(st.lists(st.floats(0, 120), min_size=1, max_size=300))
def test_quantiles_lie_in_the_bucket_of_the_true_ones(seconds: list[float]) -> None:
    latencies = Latencies()
    for one in seconds:
        latencies.add(1_000.0, one)
    spread = latencies.spread(1_000.0)
    assert spread is not None
    assert (spread.count, spread.buckets[-1], spread.max) == (len(seconds), len(seconds), max(seconds))
    assert list(spread.buckets) == [sum(one <= bound for one in seconds) for bound in BOUNDS] + [len(seconds)]
    ordered = sorted(seconds)
    for part, told in ((0.5, spread.p50), (0.95, spread.p95)):
        true = ordered[max(0, -(-int(part * 100) * len(seconds) // 100) - 1)]
        bounds = [0.0, *BOUNDS, float("inf")]
        low, high = next((low, high) for low, high in pairwise(bounds) if true <= high)
        assert low <= told <= high
    assert latencies.spread(1_000.0 + 700) is None


@given(st.lists(st.tuples(st.floats(0, 300), st.integers(0, 1_000)), max_size=100), st.floats(300, 400))
def test_a_rate_is_that_of_the_last_minute(counts: list[tuple[float, int]], now: float) -> None:
    meter = Meter()
    for at, count in sorted(counts):
        meter.add(at, count)
    surely = sum(count for at, count in counts if at > now - 50)
    perhaps = sum(count for at, count in counts if at > now - 80)
    assert surely / 60 <= meter.rate(now) + 1e-9 <= perhaps / 60 + 2e-9


# -- what is read of a log -------------------------------------------------------------------------------------------


class Message:
    """What librdkafka gives: a record, or the word that a partition ends here."""

    def __init__(self, offset: int, *, at: int = 0, end: bool = False) -> None:
        self._offset, self._at, self._end = offset, at, end

    def topic(self) -> str:
        return "t"

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self._offset

    def timestamp(self) -> tuple[int, int]:
        return (1, self._at)

    def error(self) -> KafkaError | None:
        return KafkaError(KafkaError._PARTITION_EOF) if self._end else None


class Log:
    """A partition in which only some offsets hold records that a consumer is given; it counts how often it is read."""

    def __init__(self) -> None:
        self.records: list[bool] = []
        self.reads = 0
        self._waiting: Iterator[Message] = iter(())

    def assign(self, partitions: list[TopicPartition]) -> None:
        self.reads += 1
        begin = partitions[0].offset
        found = [
            Message(place, at=place * 1_000 + 1) for place in range(begin, len(self.records)) if self.records[place]
        ]
        self._waiting = iter([*found, Message(len(self.records), end=True)])

    def poll(self, _: float) -> Message | None:
        return next(self._waiting, None)

    def unassign(self) -> None:
        pass


@given(st.lists(st.tuples(st.lists(st.booleans(), max_size=12), st.lists(st.integers(0, 60), max_size=4)), max_size=12))
def test_the_first_record_of_each_place_is_found_and_read_once(rounds: list[tuple[list[bool], list[int]]]) -> None:
    log, where = Log(), ("t", 0)
    firsts: FirstRecords[None] = FirstRecords(log)  # type: ignore[arg-type]
    for more, places in rounds:
        log.records += more
        end = len(log.records)
        asked = {(where, place) for place in places}
        told = firsts.look(asked, {where: end}, 60)
        for place in places:
            first = next((one for one in range(place, end) if log.records[one]), None)
            if place >= end:
                assert (where, place) not in told
            elif first is None:
                assert told[where, place] == Nothing(end)
            else:
                assert told[where, place] == Found(first, (first * 1_000 + 1) / 1_000)
        before = log.reads
        assert firsts.look(asked, {where: end}, 60) == told
        assert log.reads == before, "what is known is not read again"
