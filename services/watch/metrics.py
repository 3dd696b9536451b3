"""The picture as metrics: lag under kafka-exporter's names, connectors under those of the JMX exporter.

Sources: danielqsj/kafka_exporter (README, "Metrics"); seglo/kafka-lag-exporter for lag in seconds;
prometheus/jmx_exporter, examples/kafka-connect.yml, for `kafka_connect_connector_status`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from services.watch.domain.hops import HopName, hop
from services.watch.picture import Board, Picture

_PARTITION = ("consumergroup", "topic", "partition")


class Seen(Collector):
    """What hangs on the board, at every scrape; nothing before the first sample."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def describe(self) -> Iterator[GaugeMetricFamily]:
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        picture = self._board.picture()
        if picture is not None:
            yield from _groups(picture)
            yield from _topics(picture)
            yield from _road(picture)


def _gauge(
    name: str, text: str, labels: Sequence[str], rows: Iterable[tuple[Sequence[str], float]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, number in rows:
        family.add_metric(values, number)
    return family


def _groups(picture: Picture) -> Iterator[GaugeMetricFamily]:
    standings = picture.standings
    parts = [((one.group.name, part.topic, str(part.partition)), part) for one in standings for part in one.partitions]
    yield _gauge(
        "kafka_consumergroup_current_offset", "Committed offset.", _PARTITION,
        ((labels, part.committed) for labels, part in parts if part.committed is not None),
    )  # fmt: skip
    yield _gauge(
        "kafka_consumergroup_lag", "Offsets from the committed to the last stable one; 0 when all was read.",
        _PARTITION, ((labels, part.records) for labels, part in parts),
    )  # fmt: skip
    yield _gauge(
        "kafka_consumergroup_lag_seconds", "How long the oldest record not yet committed has waited.",
        _PARTITION, ((labels, part.seconds) for labels, part in parts),
    )  # fmt: skip
    sums: dict[tuple[str, str], int] = {}
    for (group, topic, _), part in parts:
        sums[group, topic] = sums.get((group, topic), 0) + part.records
    yield _gauge("kafka_consumergroup_lag_sum", "Lag over all partitions.", ("consumergroup", "topic"), sums.items())
    yield _gauge(
        "kafka_consumergroup_members", "Members of the group.", ("consumergroup",),
        (((one.group.name,), one.group.members) for one in standings),
    )  # fmt: skip
    yield _gauge(
        "kafka_consumergroup_group_max_lag_seconds", "The worst partition's lag in seconds.", ("group",),
        (((one.group.name,), one.lag.seconds) for one in standings),
    )  # fmt: skip
    yield _gauge(
        "tongshu_consumergroup_status", "0 OK, 1 WARN, 2 STALL, 3 STOP, 4 ERR.", ("consumergroup",),
        (((one.group.name,), one.lag.verdict.status.severity) for one in standings),
    )  # fmt: skip
    yield _gauge(
        "tongshu_consumergroup_eta_seconds", "Time until all is read; absent when never at this rate.",
        ("consumergroup",),
        (
            ((one.group.name,), one.lag.estimate.eta_seconds)
            for one in standings
            if one.lag.estimate.eta_seconds is not None
        ),
    )  # fmt: skip


def _topics(picture: Picture) -> Iterator[GaugeMetricFamily]:
    yield _gauge(
        "kafka_topic_partitions", "Partitions of the topic.", ("topic",),
        (((one.name,), one.partitions) for one in picture.topics),
    )  # fmt: skip
    yield _gauge(
        "kafka_topic_partition_current_offset", "Last stable offset.", ("topic", "partition"),
        (((topic, str(number)), end) for (topic, number), end in picture.ends.items()),
    )  # fmt: skip


def _road(picture: Picture) -> Iterator[GaugeMetricFamily]:
    yield _gauge(
        "kafka_connect_connector_status", "1 for the status that a connector's task has.",
        ("connector", "task", "status"),
        (
            ((name, str(task.id), task.state.lower()), 1.0)
            for name, told in picture.connectors.items()
            for task in told.tasks
        ),
    )  # fmt: skip
    yield _gauge("tongshu_connect_reachable", "Whether Connect answers.", (), [((), float(picture.connect_reachable))])
    hops = [hop(name, picture.rows.get(name, ()), picture.latencies.get(name)) for name in HopName]
    yield _gauge(
        "tongshu_hop_status", "0 OK, 1 WARN, 2 STALL, 3 STOP, 4 ERR.", ("hop",),
        (((one.name,), one.verdict.status.severity) for one in hops),
    )  # fmt: skip
    yield _gauge(
        "tongshu_hop_lag_seconds", "Lag of the hop's worst.", ("hop",),
        (((one.name,), one.seconds) for one in hops if one.seconds is not None),
    )  # fmt: skip
    yield _gauge(
        "tongshu_hop_latency_seconds", "Latency of the last ten minutes.", ("hop", "quantile"),
        (
            ((one.name, quantile), number)
            for one in hops
            if one.latency
            for quantile, number in (("0.5", one.latency.p50), ("0.95", one.latency.p95), ("1", one.latency.max))
        ),
    )  # fmt: skip
    yield _gauge(
        "tongshu_hop_records_per_second", "Records through the hop.", ("hop",),
        (((one.name,), one.rate) for one in hops),
    )  # fmt: skip
    yield _gauge("tongshu_watch_sample_timestamp_seconds", "When the last sample was taken.", (), [((), picture.at)])
