"""A place to test the catalogue in: departments with tokens of every role, all made through the API."""

from __future__ import annotations

import itertools
import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from cli.exchange import Exchange
from services.core.identifiers import uscc_check_digit

_numbers = itertools.count(random.randrange(10_000) * 100)


def government_code() -> str:
    """A valid unified social credit code of a government body that no other test has."""
    first = f"11{random.randrange(10**6):06d}T{next(_numbers) % 10**8:08d}"
    return first + uscc_check_digit(first)


class Api:
    """A service's API with one caller's token; a change names the state it was read in unless told otherwise."""

    def __init__(self, exchange: Exchange, token: str, language: str = "en", service: str = "catalog") -> None:
        self.exchange, self.token, self.language = exchange, token, language
        self._http = httpx.Client(
            base_url=exchange.url(service),
            headers={"Authorization": f"Bearer {token}", "Accept-Language": language},
            timeout=60,
        )

    def at(self, service: str) -> Api:
        """The same caller at another service."""
        return Api(self.exchange, self.token, self.language, service)

    def get(self, path: str, **query: Any) -> httpx.Response:
        return self._http.get(path, params=query)

    def post(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        return self._http.post(path, json=body, headers=_headers(headers))

    def put(self, path: str, body: Any, **headers: str) -> httpx.Response:
        return self._http.put(path, json=body, headers=_headers(headers))

    def send(self, path: str, data: bytes, kind: str = "text/csv", **headers: str) -> httpx.Response:
        return self._http.post(path, content=data, headers={"Content-Type": kind, **_headers(headers)})

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self._http.request(method, path, **more)

    def must(self, answer: httpx.Response, status: int | None = None) -> Any:
        """The body of an answer that has to be good."""
        fine = answer.status_code == status if status else answer.is_success
        assert fine, f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def step(self, code: str, action: str, reason: str | None = None, *, match: str | None = None) -> httpx.Response:
        """Take a step of a resource from the state it is in (or from the one that `match` names)."""
        if match is None:
            match = self.get(f"/resources/{code}").headers.get("ETag", "*")
        return self.post(f"/resources/{code}/steps", {"action": action, "reason": reason}, if_match=match)


def _headers(named: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in named.items()}


@dataclass(frozen=True, slots=True)
class Office:
    """A department with a token for each role that acts for it."""

    slug: str
    uscc: str
    provider: Api
    consumer: Api


class Place:
    """The data authority: makes departments and tokens."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.operator = Api(exchange, exchange.home.secret("operator_token"))
        self.reviewer = self.caller("administrator")

    def caller(self, *roles: str, department: str | None = None, language: str = "en") -> Api:
        """A new caller with these roles."""
        form = {"name": f"{roles[0]} {uuid.uuid4().hex[:8]}", "roles": list(roles), "department": department}
        token = self.operator.must(self.operator.post("/tokens", form), 201)["token"]
        return Api(self.exchange, token, language)

    def office(self, *, responsible: str | None = "李正") -> Office:
        """A new department, with its responsible person unless told otherwise."""
        slug, uscc = f"d{uuid.uuid4().hex[:10]}", government_code()
        form = {"slug": slug, "uscc": uscc, "name": f"部门 {slug}", "name_en": f"Department {slug}"}
        self.operator.must(self.operator.post("/departments", form), 201)
        office = Office(slug, uscc, self.caller("provider", department=slug), self.caller("consumer", department=slug))
        if responsible:
            form = {"role": "responsible", "name": responsible}
            self.operator.must(self.operator.post(f"/departments/{slug}/appointments", form), 201)
        return office

    def published(self, office: Office, **terms: Any) -> str:
        """A resource that the office wrote and the data authority published; its code."""
        form = terms_of(office, **terms)
        office.provider.must(office.provider.post("/resources", form), 201)
        self.publish(office, form["code"])
        return str(form["code"])

    def publish(self, office: Office, code: str) -> None:
        office.provider.must(office.provider.step(code, "submit"))
        self.reviewer.must(self.reviewer.step(code, "approve"))

    def revise(self, office: Office, code: str, **terms: Any) -> None:
        """Begin a revision and write these terms into its draft."""
        office.provider.must(office.provider.step(code, "revise"))
        self.write(office, code, **terms)

    def write(self, office: Office, code: str, **terms: Any) -> None:
        read = office.provider.get(f"/resources/{code}")
        draft = {**read.json()["draft"], **terms}
        office.provider.must(office.provider.put(f"/resources/{code}/draft", draft, if_match=read.headers["ETag"]))


def item(name: str, kind: str = "string", **more: Any) -> dict[str, Any]:
    return {"name": name, "title": f"项 {name}", "type": kind, **more}


def key_item(name: str = "id") -> dict[str, Any]:
    return item(name, key=True, nullable=False)


def terms_of(office: Office, **terms: Any) -> dict[str, Any]:
    """The form of a resource that may be published as it is; `terms` change it."""
    return {
        "code": f"r{uuid.uuid4().hex[:10]}",
        "title": "婚姻登记信息",
        "abstract": "婚姻登记的基本信息。",
        "department": office.slug,
        "category": "101",
        "sharing_type": "unconditional",
        "grade": "general",
        "update_cycle": "real_time",
        "items": [key_item(), item("name")],
        **terms,
    }
