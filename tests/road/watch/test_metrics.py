"""What Prometheus is given by a running exchange, and that rules and dashboards ask for nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from cli.exchange import Exchange
from tests.road.town import eventually
from tests.road.watch.conftest import Lookout, Scene

INFRA = Path(__file__).resolve().parents[3] / "infra"
SERVICES = ("catalog", "demand", "tracking", "sync", "table", "rows", "audit", "watch")
_LABELS = re.compile(r"\{[^}]*\}|\[[^\]]*\]|\"[^\"]*\"")
_GROUPING = re.compile(r"\b(by|on|ignoring|without|group_left|group_right)\s*\([^)]*\)")
_WORDS = frozenset({"and", "or", "unless", "bool", "offset", "inf"})


OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def scrape(exchange: Exchange, service: str, form: str = "text/plain") -> str:
    address = f"http://127.0.0.1:{exchange.home.ports[service]}/metrics"
    answer = httpx.get(address, headers={"Accept": form}, timeout=30)
    assert answer.is_success, f"{service}: {answer.status_code}"
    return answer.text


@pytest.fixture(scope="module")
def names(exchange: Exchange) -> frozenset[str]:
    """Every name that a query may ask for."""
    found: set[str] = set()
    for service in SERVICES:
        for line in scrape(exchange, service).splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split()
                found |= {f"{name}{end}" for end in ("_bucket", "_sum", "_count")} if kind == "histogram" else {name}
    return frozenset(found)


def asked_for(expression: str) -> set[str]:
    """The metrics that an expression names."""
    bare = _GROUPING.sub(" ", _LABELS.sub(" ", expression))
    return {
        word for word in re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*(?!\w*\s*\()", bare)
        if word not in _WORDS and not re.search(rf"\b{word}\s*\(", bare)
    }  # fmt: skip


def expressions() -> Iterator[tuple[str, str]]:
    for group in yaml.safe_load((INFRA / "prometheus" / "alerts.yml").read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]
    for path in sorted((INFRA / "grafana").glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel["targets"]:
                yield f"{path.stem}: {panel['title']}", target["expr"]


@pytest.mark.parametrize("service", [*SERVICES, "console"])
def test_both_forms_tell_of_the_same_metrics(exchange: Exchange, service: str) -> None:
    # Prometheus asks for OpenMetrics, which is strict about names; people look at the text
    def named(families: Iterable[Metric]) -> set[str]:
        return {sample.name for family in families for sample in family.samples if not sample.name.endswith("_created")}

    strict = openmetrics.text_string_to_metric_families(scrape(exchange, service, OPENMETRICS))
    assert named(strict) == named(text_string_to_metric_families(scrape(exchange, service)))


def test_what_an_expression_asks_for_is_found() -> None:
    text = 'sum by (le) (rate(a_bucket{x="y_total"}[5m])) > on (job) group_left () 0.5 * b'
    assert asked_for(text) == {"a_bucket", "b"}


def test_rules_and_dashboards_ask_for_metrics_that_are_there(scene: Scene, names: frozenset[str]) -> None:
    for where, expression in expressions():
        asked = asked_for(expression)
        assert asked and asked <= names | {"up"}, f"{where} asks for {sorted(asked - names)}"


def test_dashboards_are_whole() -> None:
    paths = sorted((INFRA / "grafana").glob("*.json"))
    assert len({json.loads(path.read_text())["uid"] for path in paths}) == len(paths) >= 3
    for path in paths:
        panels: list[dict[str, Any]] = json.loads(path.read_text())["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        cells = [
            (column, row)
            for panel in panels
            for column in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
            for row in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
        ]
        assert len(set(cells)) == len(cells) and max(column for column, _ in cells) < 24, path.name


def test_lag_deliveries_and_requests_are_counted(scene: Scene, exchange: Exchange, lookout: Lookout) -> None:
    def sample(service: str, name: str, **labels: str) -> float:
        return sum(
            one.value
            for family in text_string_to_metric_families(scrape(exchange, service))
            for one in family.samples
            if one.name == name and labels.items() <= one.labels.items()
        )

    before = sample("sync", "tongshu_relay_deliveries_total")
    client = scene.client()
    scene.write(40)
    client.read(40)
    eventually(lambda: sample("sync", "tongshu_relay_deliveries_total"), lambda now: now >= before + 40, "deliveries")
    assert sample("sync", "messaging_client_consumed_messages_total", messaging_consumer_group_name="sync.relay") >= 40
    assert sample("sync", "tongshu_relay_transaction_seconds_count") > 0
    assert sample("sync", "tongshu_relay_ready", group="sync.relay") == 1
    assert 0 <= sample("sync", "tongshu_relay_sealing_behind_seconds") < 60
    client.leave()
    scene.write(7)
    mine = {"consumergroup": client.group, "topic": scene.grant["topic"]}
    lag = eventually(
        lambda: sample("watch", "kafka_consumergroup_lag", **mine, partition="0"), lambda told: told >= 7, "the lag"
    )
    assert lag <= sample("watch", "kafka_consumergroup_lag_sum", **mine) + 1
    eventually(lambda: sample("watch", "kafka_consumergroup_lag_seconds", **mine), lambda told: told > 0, "its age")
    told = lookout.group(client.group)
    assert sample("watch", "kafka_consumergroup_current_offset", **mine) == told["parts"][0]["committed"]
    running = {"connector": f"mount.{scene.table.code}", "status": "running"}
    assert sample("watch", "kafka_connect_connector_status", **running) == 1
    assert sample("watch", "http_server_request_duration_seconds_count", http_route="/api/watch/v1/lag/{group}") > 0
    assert sample("demand", "tongshu_demand_clocks") >= 0
