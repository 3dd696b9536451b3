"""What rules say of several rows: both departments are told of what does not agree, and of its end."""

from __future__ import annotations

import json
import time
from typing import Any

from cli.demo.stage import publish
from cli.demo.world import DEPARTMENTS
from cli.exchange import Exchange
from tests.road.catalog.test_topic_mounts import System, write
from tests.road.town import OWNER, Town, eventually, resource_of

OTHER = DEPARTMENTS[1]
_ITEMS: list[dict[str, Any]] = [
    {"name": "id", "title": "编号", "type": "string", "key": True, "nullable": False},
    {"name": "number", "title": "公民身份号码", "type": "string"},
    {"name": "name", "title": "姓名", "type": "string"},
]


class Register:
    """A resource that its department fills itself."""

    def __init__(self, exchange: Exchange, department: Any, rules: list[dict[str, Any]]) -> None:
        self.exchange, self.code = exchange, f"r{time.monotonic_ns():x}"
        rules = [{"severity": "warning", **rule, "parameters": rule["parameters"]} for rule in rules]
        terms = {"department": department.slug, "rules": rules}
        exchange.ask("POST", "catalog", "/resources", resource_of(self.code, _ITEMS) | terms)
        publish(exchange, self.code)
        mount = {"kind": "topic", "system": department.database}
        self._system = System(exchange.ask("PUT", "catalog", f"/resources/{self.code}/mount", mount)["credentials"])
        self._rows: dict[str, dict[str, Any]] = {}

    def says(self, **rows: tuple[str, str] | None) -> None:
        """Rows by their keys: number and name, or that there is none any more."""
        changes = []
        for key, row in rows.items():
            before = self._rows.pop(key, None)
            if row is not None:
                self._rows[key] = {"id": key, "number": row[0], "name": row[1]}
            op = "d" if row is None else "u" if before else "c"
            changes.append(self._system.change(op, before, self._rows.get(key)))
        producer = self._system.producer()
        assert write(producer, self._system.credentials["topic"], *changes) == []

    def found(self, **query: str) -> list[dict[str, Any]]:
        asked = "&".join(f"{name}={value}" for name, value in query.items())
        page = self.exchange.ask("GET", "sync", f"/inconsistencies?resource={self.code}&{asked}")
        return list(page["items"])

    def await_open(self, count: int) -> list[dict[str, Any]]:
        return eventually(lambda: self.found(open="true"), lambda seen: len(seen) == count, f"{count} inconsistencies")


def told(town: Town, kind: str, number: str) -> list[dict[str, Any]]:
    found = [town.exchange.registry.decode(value)[1] for _, value, _ in town.exchange.read_all("sync.events") if value]
    return [
        one for one in found
        if one["type"] == f"cn.tongshu.sync.{kind}.v1" and one["data"]["inconsistency"] == number
    ]  # fmt: skip


def test_two_departments_that_say_different_things_of_one_person_are_told(town: Town) -> None:
    theirs = Register(town.exchange, OTHER, [])
    agree = {"id": "names", "kind": "consistent", "items": ["number", "name"],
             "parameters": {"resource": theirs.code, "items": ["number", "name"]}}  # fmt: skip
    once = {"id": "once", "kind": "unique", "items": ["number"], "parameters": {}}
    ours = Register(town.exchange, OWNER, [agree, once])
    ours.says(a=("1", "王小明"), b=("2", "李芳"), c=("3", "张伟"))
    theirs.says(x=("1", "王晓明"), y=("2", "李芳"), z=("4", "赵静"))
    (differs,) = ours.await_open(1)
    assert theirs.await_open(1) == [differs]
    assert (differs["rule"], differs["owner"], differs["other_owner"]) == ("names", OWNER.slug, OTHER.slug)
    assert {place["resource"] for place in differs["places"]} == {ours.code, theirs.code}

    # of a number that two rows have, across partitions, only who answers for both is told
    ours.says(d=("3", "张伟"), e=("3", "张伟"), f=("3", "张伟"))
    doubled = next(one for one in ours.await_open(2) if one["rule"] == "once")
    assert (doubled["kind"], doubled["other"], len(doubled["places"])) == ("unique", "", 4)

    # it ends by itself: where the values agree, where a row is gone
    theirs.says(x=("1", "王小明"))
    ours.says(d=None, e=None, f=("5", "张伟"))
    ours.await_open(0)
    for one, departments in ((differs, {OWNER.slug, OTHER.slug}), (doubled, {OWNER.slug})):
        for kind in ("inconsistency_found", "inconsistency_ended"):
            events = eventually(lambda kind=kind, one=one: told(town, kind, one["id"]), bool, kind)
            assert {event["department"] for event in events} == departments
            assert not {"王小明", "王晓明", "张伟"} & set(
                json.dumps(events, ensure_ascii=False, default=str).split('"')
            )
