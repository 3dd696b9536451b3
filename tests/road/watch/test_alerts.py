"""Alerts of the watch: opened when something lasts, taken on by people, closed when it is over, and sealed."""

from __future__ import annotations

from typing import Any

from sqlalchemy import inspect

import services.watch
from cli.exchange import Exchange
from services.watch.store import Base
from tests.receivers import hook
from tests.road.audit.conftest import Books
from tests.road.catalog.office import Place
from tests.road.migrating import empty_database, migrate
from tests.road.town import OWNER, Town, eventually
from tests.road.watch.conftest import Scene


def test_a_group_that_stands_is_alerted_of_until_it_reads_on(scene: Scene, place: Place, exchange: Exchange) -> None:
    client = scene.client()
    scene.write(5)
    client.read(5)
    client.leave()
    scene.write(5)
    ops = place.caller("ops").at("watch")
    other = place.caller("consumer", department=place.office().slug).at("watch")
    for caller in (ops, other):
        eventually(lambda caller=caller: caller.get("/alerts").status_code, lambda code: code == 200, "a known token")

    def alert() -> dict[str, Any]:
        found, cursor = [], None
        while True:
            told = ops.must(ops.get("/alerts", limit=500, **({"cursor": cursor} if cursor else {})))
            found += [one for one in told["items"] if one["subject"] == client.group]
            cursor = told["next"]
            if cursor is None:
                return found[-1] if found else {}

    opened = eventually(alert, bool, "an alert")
    assert (opened["rule"], opened["state"], opened["department"]) == ("group-stands", "open", "civil_affairs")
    assert "没有客户端" in opened["text"]["zh"] and opened["actions"] == ["acknowledge", "hand_over", "close"]
    number = opened["id"]
    assert other.get(f"/alerts/{number}").status_code == 404
    assert number not in {one["id"] for one in other.must(other.get("/alerts"))["items"]}

    tag = ops.get(f"/alerts/{number}").headers["ETag"]
    assert ops.post(f"/alerts/{number}/steps", {"action": "acknowledge"}).status_code == 428
    taken = ops.must(ops.post(f"/alerts/{number}/steps", {"action": "acknowledge"}, if_match=tag))
    assert taken["state"] == "acknowledged" and taken["owner"] == taken["steps"][0]["by"]
    assert ops.post(f"/alerts/{number}/steps", {"action": "hand_over", "to": "x"}, if_match=tag).status_code == 412
    assert ops.post(f"/alerts/{number}/steps", {"action": "hand_over"}, if_match="*").status_code == 422
    handed = ops.must(ops.post(f"/alerts/{number}/steps", {"action": "hand_over", "to": "夜班"}, if_match="*"))
    assert (handed["state"], handed["owner"]) == ("handed_over", "夜班")

    client.connect()
    client.read(5)
    closed = eventually(alert, lambda one: one["state"] == "closed", "it is closed")
    assert closed["id"] == number and closed["actions"] == []
    assert closed["steps"][-1]["by"] == "the watch"
    client.leave()
    refused = ops.post(f"/alerts/{number}/steps", {"action": "acknowledge"}, if_match="*")
    assert refused.status_code == 409 and refused.json()["type"].endswith("step-not-possible")

    books = Books(exchange)
    kinds = [f"cn.tongshu.watch.alert_{what}.v1" for what in ("opened", "acknowledged", "handed_over", "closed")]
    sealed = eventually(
        lambda: [one["type"] for one in books.of(f"alert/{number}", topic="watch.events")],
        lambda told: len(told) == 4,
        "four entries in the log",
    )
    assert sealed == kinds


def test_rows_that_wait_are_told_to_who_wants_it_and_again_when_they_are_corrected(
    town: Town, place: Place, exchange: Exchange
) -> None:
    rules = [{"id": "region", "kind": "enumeration", "items": ["region"], "parameters": {"values": ["320612"]},
              "severity": "error"}]  # fmt: skip
    table = town.table({"id": "text", "region": "text"}, rules=rules)
    ops, other = place.caller("ops").at("watch"), place.caller("consumer", department=place.office().slug).at("watch")
    for caller in (ops, other):
        eventually(lambda caller=caller: caller.get("/subscriptions").status_code, lambda code: code == 200, "a token")

    def of_mine(told: list[dict[str, Any]]) -> list[tuple[str, Any]]:
        found = [(one["kind"], [alert for alert in one["alerts"] if alert["subject"] == table.code]) for one in told]
        return [(kind, alerts[0]) for kind, alerts in found if alerts]

    with hook() as mine, hook() as others:
        kept = ops.must(ops.post("/subscriptions", {"kind": "webhook", "target": mine.url}), 201)
        assert kept["secret"].startswith("whsec_") and kept["department"] is None
        elsewhere = other.must(other.post("/subscriptions", {"kind": "webhook", "target": others.url}), 201)
        assert other.post("/subscriptions", {"kind": "webhook", "target": "https://10.0.0.1/"}).status_code == 422
        assert other.post("/subscriptions", {"kind": "webhook", "target": mine.url, "daily": True}).status_code == 422
        assert kept["id"] not in {one["id"] for one in other.must(other.get("/subscriptions"))}
        assert other.post(f"/subscriptions/{kept['id']}/trials").status_code == 404

        table.run("insert into {t} values ('a', '870871'), ('b', '320612')")
        ((kind, told),) = eventually(lambda: of_mine(mine.told()), bool, "the alert is posted")
        assert (kind, told["rule"], told["department"]) == ("alerts_opened", "rows-wait", OWNER.slug)
        assert told["evidence"] == {"resource": table.code, "rows": 1, "rules": "region"}
        number = told["id"]
        refused = ops.post(f"/alerts/{number}/steps", {"action": "close"}, if_match="*")
        assert refused.status_code == 422, "closing says how it was solved"
        ops.must(ops.post(f"/alerts/{number}/steps", {"action": "acknowledge"}, if_match="*"))
        assert ops.must(ops.get("/summary"))["waiting"][table.code] == 1

        table.run("update {t} set region = '320612' where id = 'a'")
        told_both = eventually(lambda: of_mine(mine.told()), lambda told: len(told) > 1, "its end is posted")
        assert [kind for kind, _ in told_both] == ["alerts_opened", "alerts_over"]
        ended = ops.must(ops.get(f"/alerts/{number}"))
        assert (ended["state"], ended["steps"][-1]["by"]) == ("closed", "the watch")
        sent = ops.must(ops.get(f"/subscriptions/{kept['id']}/dispatches"))["items"]
        assert all(one["delivered_at"] and number in one["alerts"] for one in sent if number in one["alerts"])
        for caller, one in ((ops, kept), (other, elsewhere)):
            assert caller.must(caller.request("DELETE", f"/subscriptions/{one['id']}"))["ended_at"]
        assert others.requests == [], "a department gets what is its own"
    assert "870871" not in str(mine.requests)


def test_the_migrations_make_the_tables_that_the_code_believes_in_and_go_back(exchange: Exchange) -> None:
    with empty_database(exchange, "watch") as engine:
        migrate(services.watch, engine, "head")
        seen = inspect(engine)
        tables = Base.metadata.tables.values()
        assert set(seen.get_table_names(schema="watch")) - {"alembic_version"} == {table.name for table in tables}
        for table in tables:
            columns = {column["name"]: column for column in seen.get_columns(table.name, schema="watch")}
            assert set(columns) == {column.name for column in table.columns}, table.name
            for column in table.columns:
                assert columns[column.name]["nullable"] == column.nullable, f"{table.name}.{column.name}"
                made = columns[column.name]["type"].compile(engine.dialect)
                assert made == column.type.compile(engine.dialect), f"{table.name}.{column.name}"
        migrate(services.watch, engine, "base", back=True)
        assert inspect(engine).get_table_names(schema="watch") == ["alembic_version"]
