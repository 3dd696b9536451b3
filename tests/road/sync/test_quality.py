"""Rows that break a rule of their contract wait, their key alone, until they are corrected or let go; and what is said
of it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from benchmarks.road import process_of
from tests.road.catalog.office import Api, Place
from tests.road.town import OWNER, Record, Table, Town, eventually

GOOD, BAD, OTHER = "11010519491231002X", "110105194912310021", "440524188001010014"
RULES = [
    {"id": "id_number", "kind": "check_digit", "items": ["number"], "parameters": {"scheme": "citizen_id"},
     "severity": "error"},
    {"id": "region", "kind": "enumeration", "items": ["region"], "parameters": {"values": ["320612", "110105"]},
     "severity": "error"},
    {"id": "note_there", "kind": "required", "items": ["note"], "parameters": {}, "severity": "warning"},
    {"id": "fresh", "kind": "freshness", "items": ["seen"], "parameters": {"max_age_seconds": 86_400},
     "severity": "error"},
]  # fmt: skip
COLUMNS = {"id": "text", "number": "text", "region": "text", "note": "text", "seen": "timestamptz"}
ITEMS = ["id", "number", "region"]


class People:
    """Who looks after rows that were set aside."""

    def __init__(self, town: Town) -> None:
        self.place = Place(town.exchange)
        self.provider = self._at("provider", OWNER.slug)
        self.stranger = self._at("provider", "civil_affairs")
        self.authority = self._at("administrator", None)
        self.ops = self._at("ops", None)

    def _at(self, role: str, department: str | None) -> Api:
        api = self.place.caller(role, department=department).at("sync")
        eventually(lambda: api.get("/quarantine").status_code, lambda code: code == 200, "a token at the relay")
        return api

    def entries(self, table: Table, **query: str) -> list[dict[str, Any]]:
        return list(self.provider.must(self.provider.get("/quarantine", resource=table.code, **query))["items"])

    def await_states(self, table: Table, *states: str) -> list[dict[str, Any]]:
        """The entries as soon as they are in these states, in that order: the order in which rows were set aside is
        that of their partitions."""
        found = eventually(
            lambda: self.entries(table),
            lambda seen: sorted(one["state"] for one in seen) == sorted(states), f"{states}",
        )  # fmt: skip
        return sorted(found, key=lambda one: (states.index(one["state"]), one["rules"]))

    def step(self, api: Api, entry: dict[str, Any], **form: str) -> Any:
        read = api.get(f"/quarantine/{entry['id']}")
        return api.post(f"/quarantine/{entry['id']}/steps", form, if_match=read.headers.get("ETag", '"1"'))


@pytest.fixture(scope="module")
def people(town: Town) -> People:
    return People(town)


@pytest.fixture
def table(town: Town) -> Iterator[Table]:
    made = town.table(COLUMNS, rules=RULES)
    yield made
    made.connection.close()


def write(table: Table, key: str, number: str, region: str = "320612", *, note: str | None = "x") -> None:
    table.run(
        "insert into {t} values (%s, %s, %s, %s, now()) on conflict (id) do update set number = excluded.number,"
        " region = excluded.region, note = excluded.note",
        key, number, region, note,
    )  # fmt: skip


def told(records: list[Record], key: str) -> list[tuple[str, Any]]:
    return [(one.op, one.row and one.row["number"]) for one in records if one.key["id"] == key]


def test_a_row_that_breaks_a_rule_waits_and_its_correction_releases_it(
    town: Town, table: Table, people: People
) -> None:
    reader = town.reader(town.live_grant(table, ITEMS))
    filtered = town.reader(town.live_grant(table, ITEMS, row_filter='region = "320612"'))
    write(table, "new", BAD)
    write(table, "known", GOOD)
    write(table, "known", BAD, "870871")  # out of the filter, and of the code list
    write(table, "other", OTHER)
    entries = people.await_states(table, "waiting", "waiting")
    assert [one["rules"] for one in entries] == [["id_number"], ["id_number", "region"]]
    assert {one["owner"] for one in entries} == {OWNER.slug} and {one["reason"] for one in entries} == {"quality"}
    write(table, "new", BAD, "110105")
    people.await_states(table, "superseded", "waiting", "waiting")
    reader.await_state({key: {"id": key, "number": number, "region": "320612"}
                        for key, number in (("known", GOOD), ("other", OTHER))})  # fmt: skip
    write(table, "new", OTHER)
    write(table, "known", GOOD, "110105")
    table.run("update {t} set note = 'y' where id = 'other'")
    table.run("delete from {t} where id = 'other'")
    reader.await_state({"new": {"id": "new", "number": OTHER, "region": "320612"},
                        "known": {"id": "known", "number": GOOD, "region": "110105"}})  # fmt: skip
    filtered.await_state({"new": {"id": "new", "number": OTHER, "region": "320612"}})
    assert told(reader.records, "new") == [("c", OTHER)]
    assert told(reader.records, "known") == [("c", GOOD), ("u", GOOD)]
    assert told(filtered.records, "known") == [("c", GOOD), ("d", None), ("tombstone", None)]
    entries = people.await_states(table, "superseded", "corrected", "corrected")
    assert entries[0]["by_offset"] > entries[0]["offset"] and {one["ended_by"] for one in entries} == {"tongshu"}
    assert BAD.encode() not in b"".join(one.raw for one in (*reader.records, *filtered.records))
    for topic in (f"quarantine.{table.code}", "sync.waiting", "sync.events", "sync.quality"):
        held = b"".join(key + (value or b"") for key, value, _ in town.exchange.read_all(topic))
        assert BAD.encode() not in held and b"870871" not in held, f"{topic} shows what was set aside"


def test_deletes_always_pass_and_late_grants_do_not_see_what_waits(town: Town, table: Table, people: People) -> None:
    reader = town.reader(town.live_grant(table, ITEMS))
    for key in ("gone", "stays"):
        write(table, key, GOOD)
        write(table, key, BAD)
    write(table, "never", BAD)
    people.await_states(table, "waiting", "waiting", "waiting")
    late = town.reader(town.live_grant(table, ITEMS, "medical_insurance"))
    table.run("delete from {t} where id in ('gone', 'never')")
    people.await_states(table, "deleted", "waiting", "deleted")
    reader.await_state({"stays": {"id": "stays", "number": GOOD, "region": "320612"}})
    assert told(reader.records, "gone") == [("c", GOOD), ("d", None), ("tombstone", None)]
    assert told(reader.records, "never") == [], "nobody had it, nobody is told that it is gone"
    late.await_state({})
    write(table, "stays", OTHER)
    for one in (reader, late):
        one.await_state({"stays": {"id": "stays", "number": OTHER, "region": "320612"}})


def test_a_person_releases_or_has_it_tried_again(town: Town, table: Table, people: People) -> None:
    reader = town.reader(town.live_grant(table, ITEMS))
    counted = [scraped(town, name) for name in COUNTED]
    write(table, "let-go", BAD)
    write(table, "tried", GOOD, "870871")
    let_go, tried = people.await_states(table, "waiting", "waiting")
    assert [scraped(town, name) for name in COUNTED] == [one + 2 for one in counted]
    assert people.stranger.get(f"/quarantine/{let_go['id']}").status_code == 404
    assert people.step(people.stranger, let_go, action="release", reason="x").status_code == 404
    assert let_go["actions"] == ["redrive", "release"]
    assert people.ops.must(people.ops.get(f"/quarantine/{let_go['id']}"))["actions"] == ["redrive"]
    assert people.step(people.ops, let_go, action="release", reason="x").status_code == 403, (
        "it is not for ops to judge"
    )
    assert people.step(people.provider, let_go, action="release").status_code == 422, "a release gives its reason"
    assert people.provider.post(f"/quarantine/{let_go['id']}/steps", {"action": "redrive"}).status_code == 428
    assert people.step(people.provider, let_go, action="release", reason="外籍人员的旧号码").status_code == 202
    people.await_states(table, "released", "waiting")
    reader.await_state({"let-go": {"id": "let-go", "number": BAD, "region": "320612"}})
    assert people.step(people.provider, let_go, action="redrive").status_code == 409
    assert people.step(people.authority, tried, action="redrive").status_code == 202
    eventually(lambda: events(town, table, "row_redrive_failed"), bool, "that it still breaks the rule")
    revised = [rule for rule in RULES if rule["id"] != "region"]
    town.exchange.ask("POST", "catalog", f"/resources/{table.code}/steps", {"action": "revise"})
    draft = town.exchange.ask("GET", "catalog", f"/resources/{table.code}")["draft"]
    town.exchange.ask("PUT", "catalog", f"/resources/{table.code}/draft", {**draft, "rules": revised})
    for action in ("submit", "approve"):
        town.exchange.ask("POST", "catalog", f"/resources/{table.code}/steps", {"action": action})

    def tried_again() -> str:
        people.step(people.ops, tried, action="redrive")
        return str(people.provider.must(people.provider.get(f"/quarantine/{tried['id']}"))["state"])

    eventually(tried_again, lambda state: state == "redriven", "the rule of today")
    assert scraped(town, COUNTED[1]) == counted[1], "nothing waits any more"
    reader.await_state({"let-go": {"id": "let-go", "number": BAD, "region": "320612"},
                        "tried": {"id": "tried", "number": GOOD, "region": "870871"}})  # fmt: skip
    assert [one["actor"] != "tongshu" for one in events(town, table, "row_released")] == [True]
    assert "外籍" not in str(events(town, table, "")), "what somebody wrote is in no event"
    write(table, "let-go", GOOD)
    reader.await_state({"let-go": {"id": "let-go", "number": GOOD, "region": "320612"},
                        "tried": {"id": "tried", "number": GOOD, "region": "870871"}})  # fmt: skip


COUNTED = ('tongshu_quarantine_records_total{reason="quality"}', 'tongshu_quarantine_waiting{group="sync.relay"}')


def scraped(town: Town, name: str) -> float:
    """What the relay tells Prometheus under a name."""
    lines = httpx.get(f"http://127.0.0.1:{town.exchange.home.ports['sync']}/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def events(town: Town, table: Table, kind: str) -> list[dict[str, Any]]:
    found = [town.exchange.registry.decode(value)[1] for _, value, _ in town.exchange.read_all("sync.events") if value]
    return [one for one in found if one["subject"] == table.code and kind in one["type"]]


def test_what_waits_survives_a_relay_that_is_killed(town: Town, table: Table, people: People) -> None:
    reader = town.reader(town.live_grant(table, ITEMS))
    write(table, "k", GOOD)
    write(table, "k", BAD)
    people.await_states(table, "waiting")
    os.kill(process_of(town.exchange, "sync"), signal.SIGKILL)
    table.run("update {t} set region = '110105' where id = 'k'")  # still wrong
    write(table, "k", OTHER)
    reader.await_state({"k": {"id": "k", "number": OTHER, "region": "320612"}}, seconds=60)
    assert told(reader.records, "k") == [("c", GOOD), ("u", OTHER)]
    people.await_states(table, "superseded", "corrected")


def test_scores_are_kept_by_resource_and_hour(town: Town, table: Table, people: People) -> None:
    begun = datetime.now(UTC) - timedelta(hours=1)
    write(table, "a", GOOD)
    write(table, "b", BAD, note=None)
    write(table, "c", GOOD, note=None)
    write(table, "b", GOOD)
    table.run("insert into {t} values ('late', %s, '320612', 'x', now() - interval '2 days')", GOOD)
    table.run("delete from {t} where id = 'a'")

    def hours() -> list[dict[str, Any]]:
        asked = {"resource": table.code, "since": begun.isoformat()}
        return list(people.provider.must(people.provider.get("/quality", **asked))["items"])

    found = eventually(hours, lambda seen: sum(one["judged"] for one in seen) == 5, "the scores of five rows")
    time.sleep(0.5)
    assert hours() == found, "a count counts once"
    if len(found) == 1:
        (hour,) = found
        assert (hour["completeness"], hour["accuracy"], hour["timeliness"]) == (0.6, 0.8, 0.8)
        assert hour["broken"] == {"id_number": 1, "note_there": 2, "fresh": 1}
    assert sum(one["set_aside"] for one in found) == sum(one["corrected"] for one in found) == 1
