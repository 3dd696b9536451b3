"""Reconciliation: what a department changed by hand, lost or made up is found, told to both departments, and healed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from confluent_kafka import Producer

from cli.exchange import Refused
from services.core.kafka import client_config
from tests.road.databases import OwnDatabase, OwnMariadb
from tests.road.sync.test_table import COLUMNS, ROW
from tests.road.town import OWNER, Table, Town, eventually


@pytest.fixture(scope="module", params=[OwnDatabase, OwnMariadb])
def office(town: Town, request: pytest.FixtureRequest) -> Iterator[OwnDatabase | OwnMariadb]:
    one: OwnDatabase | OwnMariadb = request.param(town.exchange.home.secrets, request.param.__name__.lower())
    yield one
    one.remove()


def reconcile(town: Town, grant: dict[str, Any], *, heal: bool = False) -> dict[str, Any]:
    path = f"/grants/{grant['id']}/reconciliations"
    asked = town.exchange.ask("POST", "sync", path, {"heal": heal})
    return eventually(
        lambda: town.exchange.ask("GET", "sync", f"{path}/{asked['id']}"),
        lambda told: told["ended_at"] is not None, "the end of the reconciliation", 90,
    )  # fmt: skip


def counts(found: dict[str, Any], where: str) -> tuple[int, int, int]:
    return tuple(found["report"][where][kind]["rows"] for kind in ("missing", "surplus", "differing"))  # type: ignore[return-value]


def events(town: Town, grant: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    found = [town.exchange.registry.decode(value)[1] for _, value, _ in town.exchange.read_all("sync.events") if value]
    return [one for one in found if one["subject"] == grant["id"] and one["type"] == f"cn.tongshu.sync.{kind}.v1"]


def test_a_table_that_was_altered_by_hand_is_found_and_healed(town: Town, office: OwnDatabase | OwnMariadb) -> None:
    others = [(f"k{n}", None, n, Decimal(n) / 4, n / 8, n % 2 == 0, date(1990, 1, 1 + n), datetime.now(UTC))
              for n in range(2, 22)]  # fmt: skip
    source = town.table(COLUMNS, rows=[ROW, *others])
    masks = {"name": {"kind": "keep", "first": 1}}
    grant = town.grant(
        source, list(COLUMNS), masks=masks, channels=["topic", "table"], table_target=office.target("hand")
    )
    query = "select * from hand order by id"
    before = eventually(lambda: office.rows(query), lambda rows: len(rows) == 21, "what was there")
    found = reconcile(town, grant)
    assert (found["state"], found["reason"]) == ("equal", ""), found
    assert (found["report"]["source"], found["report"]["topic"], found["report"]["table"]) == (21, 21, 21)
    office.run("delete from hand where id = 'k1'")
    office.run("update hand set paid = paid + 1 where id = 'k2'")
    office.run("insert into hand (id, visits, tongshu_offset) values ('made-up', 1, 3)")
    found = reconcile(town, grant)
    assert found["state"] == "different" and counts(found, "in_topic") == (0, 0, 0)
    assert counts(found, "in_table") == (1, 1, 1)
    assert {one["of"] for one in found["report"]["ranges"]} == {"table"} and len(found["report"]["ranges"]) <= 3
    assert {one["department"] for one in events(town, grant, "difference_found")} == {grant["department"], OWNER.slug}
    assert "made-up" not in str(found) and "made-up" not in str(events(town, grant, "difference_found"))
    healed = reconcile(town, grant, heal=True)
    assert healed["state"] == "healed", healed
    after = office.rows(query)
    for row in (*before, *after):
        row.pop("tongshu_offset")
    assert after == before
    assert reconcile(town, grant)["state"] == "equal"
    ended = town.exchange.ask("GET", "sync", "/reconciliations?state=healed&limit=500")["items"]
    assert healed["id"] in {one["id"] for one in ended}
    assert events(town, grant, "difference_healed")


def test_a_share_topic_with_a_ghost_and_a_lost_row_is_healed(town: Town) -> None:
    table: Table = town.table({"id": "text", "n": "bigint"}, rows=[(f"k{n}", n) for n in range(10)])
    grant = town.grant(table, ["id", "n"])
    reader = town.reader(grant)
    wanted = {f"k{n}": {"id": f"k{n}", "n": n} for n in range(10)}
    reader.await_state(wanted)
    records = {key["id"]: raw for key, raw in ((one.key, one) for one in reader.records)}
    raw = {key: value for key, value, _ in town.exchange.read_all(grant["topic"])}
    known = {town.exchange.registry.decode(key)[1]["id"]: (key, value) for key, value in raw.items()}
    key_id, _ = town.exchange.registry.decode(known["k1"][0])
    ghost = town.exchange.registry.encode(key_id, {"id": "ghost"})
    vandal = Producer(client_config(town.exchange.settings, "admin"))
    vandal.produce(grant["topic"], key=ghost, value=known["k1"][1])
    vandal.produce(grant["topic"], key=known["k2"][0], value=None)
    vandal.produce(grant["topic"], key=known["k3"][0], value=known["k4"][1])
    assert vandal.flush(10) == 0 and records
    found = reconcile(town, grant, heal=True)
    assert counts(found, "in_topic") == (1, 1, 1), found
    assert found["state"] == "healed" and found["replay"]
    reader.await_state(wanted)
    with pytest.raises(Refused):
        town.exchange.ask("GET", "sync", f"/grants/{grant['id']}/reconciliations/999999999999")


def test_changes_under_way_are_no_difference(town: Town) -> None:
    from tests.road.sync.test_replays import Writer

    table = town.table({"id": "text", "version": "bigint"}, rows=[(f"k{n}", 0) for n in range(200)])
    grant = town.live_grant(table, ["id", "version"])
    writer = Writer(table, 200)
    writer.start()
    try:
        found = reconcile(town, grant)
    finally:
        writer.stop()
    assert found["state"] == "equal", found
