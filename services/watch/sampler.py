"""The sampler: a look at everything every few seconds, and the picture that comes of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import structlog
from confluent_kafka import KafkaException

from services.core.cutoff import CutOff
from services.core.words import Words
from services.watch.broker import Broker
from services.watch.connectors import Connectors
from services.watch.domain.book import Book, Found, Look, Nothing, Partition, Standing, joined
from services.watch.domain.flow import Latencies, Meter
from services.watch.domain.history import Point
from services.watch.domain.hops import HopName, Row, of_connector
from services.watch.domain.lag import Rules, Status, Verdict
from services.watch.domain.places import Places
from services.watch.picture import Board, GroupOnTopic, Picture, Topic
from services.watch.road import Flow, Road
from services.watch.unread import FirstRecords

log = structlog.get_logger()

_READING_SECONDS = 1.0
_ROAD_SECONDS = 0.5
_TAILS_AT_ONCE = 60
"""Change topics of which the newest change is read in a round, to tell how long it took from its source."""
_ROWS_SECONDS = 7_200.0
_CARRIED = Verdict(Status.OK, Words("It is delivered as it comes.", "随到随送。"))
_FILLED = Verdict(Status.OK, Words("Its system fills it itself.", "由信息系统自行写入。"))


class Sampler(threading.Thread):
    """Samples every `every_seconds` until `stop` is set."""

    def __init__(
        self,
        broker: Broker,
        firsts: FirstRecords[float],
        road: Road,
        connectors: Connectors,
        places: Callable[[], Places],
        rules: Rules,
        board: Board,
        every_seconds: float,
        stop: threading.Event,
    ) -> None:
        super().__init__(name="sampler", daemon=True)
        self._broker, self._firsts, self._road, self._connectors = broker, firsts, road, connectors
        self._places, self._board, self._every, self._stop_told = places, board, every_seconds, stop
        self._book, self._writing = Book(rules), threading.Lock()
        self._source = Latencies()
        self._number = 0
        self._ends: Mapping[Partition, int] = {}
        self._meters: dict[str, Meter] = {}
        self._last_records: dict[str, float] = {}
        self._last_commits: dict[str, float] = {}
        self._not_ready: str | None = "the first sample is not taken yet"

    def why_not_ready(self) -> str | None:
        """Why nothing is seen just now; None when it is."""
        return self._not_ready if self.is_alive() else "the sampler has ended"

    def curve(self, group: str, since: float) -> list[Point]:
        """The curve of `group`, oldest first; may be asked from any thread."""
        with self._writing:
            return self._book.curve(group, since)

    def run(self) -> None:
        while not self._stop_told.is_set():
            begun = time.monotonic()
            try:
                self.step()
                self._not_ready = None
            except CutOff:
                raise
            except KafkaException as error:
                self._not_ready = f"the broker: {error.args[0].str() if error.args else error}"
                log.warning("no sample this time", reason=self._not_ready)
            self._stop_told.wait(max(0.1, self._every - (time.monotonic() - begun)))
        self._firsts.close()
        self._road.close()

    def step(self) -> Picture:
        """Take one sample; raises KafkaException when the broker does not answer."""
        places = self._places()
        self._road.step(_ROAD_SECONDS)
        tables = (one for one in self._road.tables() if one.name.removeprefix("table/") in places.tables)
        look = joined(self._broker.look(), tables)
        tails = list(self._tails(look))
        firsts = self._firsts.look([*look.places(), *tails], look.ends, _READING_SECONDS)
        self._note_commits(firsts, tails)
        with self._writing:
            standings = self._book.enter(look, firsts)
        self._note_growth(look)
        self._number += 1
        picture = self._drawn(look, standings, places)
        self._board.hang(picture)
        return picture

    # -- what changed since the last look ----------------------------------------------------------------------------

    def _tails(self, look: Look) -> Iterator[tuple[Partition, int]]:
        """Where to read what came last in change topics."""
        left = _TAILS_AT_ONCE
        for where, end in look.ends.items():
            if not where[0].startswith("cdc.") or end == 0:
                continue
            # at first sight: the last record, which a marker may follow
            before = self._ends.get(where, max(look.begins.get(where, 0), end - 2))
            if before < end and left > 0:
                left -= 1
                yield where, before

    def _note_commits(
        self,
        firsts: Mapping[tuple[Partition, int], Found[float] | Nothing],
        tails: Sequence[tuple[Partition, int]],
    ) -> None:
        for place in tails:
            found = firsts.get(place)
            if isinstance(found, Found) and found.made is not None and found.at is not None:
                topic = place[0][0]
                self._source.add(found.at, max(0.0, found.at - found.made))
                self._last_commits[topic] = max(self._last_commits.get(topic, 0.0), found.made)

    def _note_growth(self, look: Look) -> None:
        for where, end in look.ends.items():
            grown = end - self._ends.get(where, end)
            if grown > 0:
                self._meters.setdefault(where[0], Meter()).add(look.at, grown)
                self._last_records[where[0]] = look.at
        self._ends = look.ends

    # -- the picture -------------------------------------------------------------------------------------------------

    def _drawn(self, look: Look, standings: Sequence[Standing], places: Places) -> Picture:
        topics = self._topics(look, standings, places)
        statuses, reachable = self._connectors.seen()
        rates = {one.name: one.produced_rate for one in topics}
        topic_of = {place.resource: name for name, place in places.topics.items() if place.kind == "cdc"}
        commits = {
            name: self._last_commits[topic_of[place.resource]]
            for name, place in places.connectors.items()
            if topic_of.get(place.resource) in self._last_commits
        }
        now = look.at
        return Picture(
            number=self._number,
            at=now,
            complete=self._book.complete(now),
            standings=standings,
            topics=topics,
            rows={
                HopName.SOURCE_CDC: list(self._source_rows(places, rates, commits)),
                HopName.CDC_RELAY: [
                    _group_row(one, places) for one in standings if one.group.name.startswith("sync.relay")
                ],
                HopName.RELAY_SHARE: list(_flow_rows(self._road.delivered, now)),
                HopName.SHARE_CONSUMER: [
                    _group_row(one, places)
                    for one in standings
                    if one.group.kind != "table" and places.department_of_group(one.group.name) is not None
                ],
                HopName.CONSUMER_APPLIED: [_group_row(one, places) for one in standings if one.group.kind == "table"],
            },
            latencies={
                HopName.SOURCE_CDC: self._source.spread(now),
                HopName.RELAY_SHARE: self._road.deliveries.spread(now),
                HopName.CONSUMER_APPLIED: self._road.receipts.spread(now),
            },
            connectors=statuses,
            connect_reachable=reachable,
            last_committed=commits,
            places=places,
            carried=self._road.carried,
            ends=look.ends,
        )

    def _topics(self, look: Look, standings: Sequence[Standing], places: Places) -> list[Topic]:
        readers: dict[str, list[GroupOnTopic]] = {}
        for one in standings:
            for topic in sorted({part.topic for part in one.partitions}):
                mine = [part for part in one.partitions if part.topic == topic]
                worst = max(mine, key=lambda part: part.verdict.status.severity)
                readers.setdefault(topic, []).append(
                    GroupOnTopic(
                        one.group.name,
                        worst.verdict.status,
                        sum(part.records for part in mine),
                        max(part.seconds for part in mine),
                    )
                )
        sizes: dict[str, list[int]] = {}
        for where, end in look.ends.items():
            sizes.setdefault(where[0], []).append(max(0, end - look.begins.get(where, 0)))
        return [
            Topic(
                name=name,
                place=places.topic(name),
                partitions=len(partitions),
                records=sum(partitions),
                produced_rate=self._meters[name].rate(look.at) if name in self._meters else 0.0,
                last_record_at=self._last_records.get(name),
                groups=readers.get(name, []),
            )
            for name, partitions in sorted(sizes.items())
        ]

    def _source_rows(self, places: Places, rates: Mapping[str, float], commits: Mapping[str, float]) -> Iterator[Row]:
        topics = {place.resource: name for name, place in places.topics.items() if place.kind == "cdc"}
        statuses, _ = self._connectors.seen()
        connected = set()
        for name, status in sorted(statuses.items()):
            place = places.connector(name)
            connected.add(place.resource)
            yield Row(
                name=name,
                department=place.department,
                resource=place.resource,
                verdict=of_connector(status.state, [task.state for task in status.tasks], status.failure),
                records=None,
                seconds=None,
                rate=rates.get(topics.get(place.resource, ""), 0.0) if place.resource else 0.0,
                last_at=commits.get(name),
            )
        for resource, topic in sorted(topics.items(), key=lambda one: one[1]):
            if resource not in connected:
                place = places.topic(topic)
                yield Row(
                    name=topic, department=place.department, resource=resource, verdict=_FILLED, records=None,
                    seconds=None, rate=rates.get(topic, 0.0), last_at=self._last_commits.get(topic),
                )  # fmt: skip


def _group_row(one: Standing, places: Places) -> Row:
    grant = places.grants.get(one.group.name.removeprefix("table/")) if one.group.kind == "table" else None
    resources = {places.topic(part.topic).resource for part in one.partitions}
    only = next(iter(resources)) if len(resources) == 1 else None
    return Row(
        name=one.group.name,
        department=grant.department if grant else places.department_of_group(one.group.name),
        resource=grant.resource if grant else only,
        verdict=one.lag.verdict,
        records=one.lag.records,
        seconds=one.lag.seconds,
        rate=one.lag.estimate.consumed_rate,
    )


def _flow_rows(flows: Mapping[str, Flow], now: float) -> Iterator[Row]:
    for grant, flow in flows.items():
        if flow.last_at is not None and flow.last_at >= now - _ROWS_SECONDS:
            yield Row(
                name=grant, department=flow.department, resource=flow.resource, verdict=_CARRIED, records=None,
                seconds=flow.latency, rate=flow.meter.rate(now), last_at=flow.last_at,
            )  # fmt: skip
