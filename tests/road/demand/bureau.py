"""A place to test demands in: who applies, who supplies, the data authority, each with persons of their own."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from typing import Any

import httpx

from cli.exchange import Exchange
from tests.road.catalog.office import Api, Place
from tests.road.town import OWNER, Table, Town, eventually

APPLICANT = "civil_affairs"
SUPPLIER = OWNER.slug
COLUMNS = {"id": "text", "name": "text", "region": "text"}


class Person:
    """Somebody who takes part in demands."""

    def __init__(self, api: Api) -> None:
        self.api = api

    def read(self, demand_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api.must(self.api.get(f"/demands/{demand_id}"))
        return found

    def step(self, demand: Mapping[str, Any], action: str, *, match: str = "*", **given: Any) -> httpx.Response:
        return self.api.post(f"/demands/{demand['id']}/steps", {"action": action, **given}, if_match=match)

    def takes(self, demand: Mapping[str, Any], action: str, **given: Any) -> dict[str, Any]:
        """Take a step that has to be possible; the demand after it."""
        done: dict[str, Any] = self.api.must(self.step(demand, action, **given), 200)
        return done

    def drafts(self, **form: Any) -> dict[str, Any]:
        drafted: dict[str, Any] = self.api.must(self.api.post("/demands", demand_of(**form)), 201)
        return drafted

    def submits(self, **form: Any) -> dict[str, Any]:
        return self.takes(self.drafts(**form), "submit")

    def awaits(self, demand: Mapping[str, Any], state: str, seconds: float = 30.0) -> dict[str, Any]:
        """The demand as soon as it is in `state`."""
        return eventually(
            lambda: self.read(demand["id"]), lambda now: now["state"] == state, f"{demand['id']} {state}", seconds
        )


class Bureau:
    def __init__(self, exchange: Exchange, town: Town) -> None:
        self.exchange, self.town = exchange, town
        self.place = Place(exchange)
        self.applicant = self.person("consumer", APPLICANT)
        self.colleague = self.person("consumer", APPLICANT)
        self.supplier = self.person("provider", SUPPLIER)
        self.second = self.person("provider", SUPPLIER)
        self.authority = self.person("administrator")
        self.auditor = self.person("auditor")
        self.unconditional = self.table(sharing_type="unconditional", sharing_conditions=None, stays=True)
        self.conditional = self.table(stays=True)

    def person(self, role: str, department: str | None = None) -> Person:
        """A new person, recognised by the demand side when this returns."""
        api = self.place.caller(role, department=department).at("demand")
        deadline = time.monotonic() + 20
        while api.get("/demands").status_code == 401:
            assert time.monotonic() < deadline, "the demand side does not learn of a token"
            time.sleep(0.05)
        return Person(api)

    def table(self, **terms: Any) -> Table:
        """A mounted resource of the supplier with two rows, conditional unless told otherwise."""
        conditions = {"sharing_type": "conditional", "sharing_conditions": "用于法定职责"}
        rows = [("1", "甲", "320602"), ("2", "乙", "320612")]
        return self.town.table(COLUMNS, rows=rows, **(conditions | terms))

    def events(self, subject: str) -> list[dict[str, Any]]:
        """The events about `subject`, in their order."""
        decode = self.exchange.registry.decode
        found = [decode(value)[1] for _, value, _ in self.exchange.read_all("demand.events") if value]
        return [event for event in found if event["subject"] == subject]

    def await_events(self, subject: str) -> list[dict[str, Any]]:
        """The same, as soon as there are any."""
        return eventually(lambda: self.events(subject), bool, f"events of {subject}")


def demand_of(**form: Any) -> dict[str, Any]:
    """The form of a demand that may be submitted as it is; `form` changes it."""
    return {
        "title": f"测试申请 {uuid.uuid4().hex[:6]}",
        "items": ["id", "name"],
        "purpose": "核验身份",
        "legal_basis": "《测试条例》第一条",
        **form,
    }
