"""Fills the catalogue as departments would, through its API: what `catalogue.yaml` says, beside what the demo grants.

Whatever is there already is left as it is; what an earlier run left unfinished is finished.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import yaml
from psycopg import sql

from cli.demo.grants import RESOURCES
from cli.demo.world import Server
from cli.exchange import Exchange
from services.catalog.tabular import write_csv

FILE = Path(__file__).with_name("catalogue.yaml")
# two departments write while the data authority reviews: more at once only wait for one another
_AT_ONCE = 3
_TYPES = {"C": "string", "I": "integer", "N": "decimal", "B": "double", "L": "boolean", "D": "date", "T": "timestamp"}
_TYPE = re.compile(r"([CNIBLDT])(?:(\d+)(?:\.(\d+))?)?")
_LISTS = {
    "powers": ("code", "name", "kind", "legal_basis"),
    "service-items": ("code", "name", "power"),
    "data-items": ("code", "name", "service_item", "use", "exception"),
}

Form = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A resource to catalogue: the forms of what is in force at the end, what was before, what is being written."""

    form: Form
    earlier: Form | None = None
    revision: Form | None = None
    state: str = "published"
    reason: str | None = None
    mount: Mapping[str, str] | None = None

    @property
    def code(self) -> str:
        return str(self.form["code"])

    @property
    def versions(self) -> int:
        """How many versions are published on the way to its state."""
        return 0 if self.state == "in_review" else 2 if self.earlier else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A department with its people, its system, why it holds data (three lists) and what it catalogues."""

    form: Form
    people: Sequence[Form]
    system: Form
    lists: Mapping[str, Sequence[Sequence[str]]]
    entries: Sequence[Entry]

    @property
    def slug(self) -> str:
        return str(self.form["slug"])


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """All that `catalogue.yaml` says, in the forms of the catalogue's API."""

    code_lists: Mapping[str, Mapping[str, str]]
    categories: Sequence[Form]
    providers: Sequence[Provider] = field(default_factory=tuple)

    def entries(self) -> Iterator[Entry]:
        for provider in self.providers:
            yield from provider.entries


@cache
def world() -> World:
    """The file, read."""
    said = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return World(
        code_lists=said["code_lists"],
        categories=[{"code": code, "parent": parent, "name": name} for code, parent, name in said["categories"]],
        providers=[_provider(said, one) for one in said["departments"]],
    )


def _provider(said: Mapping[str, Any], one: Mapping[str, Any]) -> Provider:
    return Provider(
        form={name: one[name] for name in ("slug", "uscc", "name", "name_en", "division") if name in one},
        people=[{"role": role, "name": name, "post": post} for role, (name, post) in one["people"].items()],
        system={"department": one["slug"], **one["system"]},
        lists={"powers": one["powers"], "service-items": one["services"], "data-items": one["data"]},
        entries=[_entry(said, one["slug"], resource) for resource in one["resources"]],
    )


def _entry(said: Mapping[str, Any], department: str, resource: Mapping[str, Any]) -> Entry:
    own = {"earlier", "revision", "state", "reason", "mount"}
    terms = {name: value for name, value in resource.items() if name not in own}

    def form(other: Mapping[str, Any]) -> Form:
        written = {**said["defaults"], "department": department, **terms, **other}
        written["service_level"] = said["service_levels"][written["update_cycle"]]
        items = [_item(said, word) for word in written["items"].split()]
        rules = [_rule(said["checks"], item["name"]) for item in items if item["name"] in said["checks"]]
        return {**written, "items": items, "rules": rules}

    return Entry(
        form=form({}),
        earlier=form(resource["earlier"]) if "earlier" in resource else None,
        revision=form(resource["revision"]) if "revision" in resource else None,
        **{name: resource[name] for name in ("state", "reason", "mount") if name in resource},
    )


def _item(said: Mapping[str, Any], word: str) -> Form:
    name, marks = re.fullmatch(r"(\w+)([*?]*)", word).groups()  # type: ignore[union-attr]
    title, kind, sensitivity = [*said["elements"][name], "internal"][:3]
    letter, length, scale = _TYPE.fullmatch(kind).groups()  # type: ignore[union-attr]
    return {
        "name": name,
        "title": title,
        "type": _TYPES[letter],
        "length": int(length) if length else None,
        "scale": int(scale) if scale else None,
        "key": "*" in marks,
        "nullable": "*" not in marks,
        "query_key": "?" in marks,
        "sensitivity": sensitivity,
        "standard": said["standards"].get(name),
        "code_list": said["code_listed"].get(name),
        "unit": said["units"].get(name),
    }


def _rule(checks: Mapping[str, str], item: str) -> Form:
    return {"id": f"{item}_valid", "kind": "check_digit", "items": [item], "parameters": {"scheme": checks[item]}}


# -- bringing it in --------------------------------------------------------------------------------------------------


def fill(exchange: Exchange, server: Server) -> tuple[int, int]:
    """Catalogue everything; how many resources of how many departments are there then.

    The four sample departments, their systems and the two resources that are granted are there before
    (`stage.catalogue`).
    """
    whole = world()
    _register(exchange, server, whole)
    theirs = (_all(exchange, f"/resources?department={provider.slug}") for provider in whole.providers)
    found = {one["code"]: one for listed in theirs for one in listed}
    for wave in _waves(list(whole.entries())):
        with ThreadPoolExecutor(_AT_ONCE) as writers:
            brought = writers.map(lambda entry: _bring(exchange, entry, found.get(entry.code)), wave)
            found.update((one["code"], one) for one in brought)
    for entry in whole.entries():
        if entry.mount and found[entry.code]["mount"] is None:
            exchange.ask("PUT", "catalog", f"/resources/{entry.code}/mount", dict(entry.mount))
    codes = {entry.code for entry in whole.entries()} | set(RESOURCES)
    ours = [one for code, one in found.items() if code in codes]
    return len(ours), len({one["department"] for one in ours})


def _register(exchange: Exchange, server: Server, whole: World) -> None:
    """What resources hang on: departments with people, systems and lists; categories; code lists."""
    lists = {one["name"] for one in _all(exchange, "/code-lists")}
    for name in whole.code_lists.keys() - lists:
        exchange.ask("PUT", "catalog", f"/code-lists/{name}", {"entries": whole.code_lists[name]})
    categories = {one["code"] for one in _all(exchange, "/categories")}
    for category in whole.categories:
        if category["code"] not in categories:
            exchange.ask("POST", "catalog", "/categories", category)
    departments = {one["slug"] for one in _all(exchange, "/departments")}
    systems = {one["code"] for one in _all(exchange, "/systems")}
    for provider in whole.providers:
        if provider.slug not in departments:
            exchange.ask("POST", "catalog", "/departments", provider.form)
        appointments = f"/departments/{provider.slug}/appointments"
        held = {one["role"] for one in exchange.ask("GET", "catalog", appointments) if one["until"] is None}
        for person in provider.people:
            if person["role"] not in held:
                exchange.ask("POST", "catalog", appointments, person)
        if provider.system["code"] not in systems:
            exchange.ask("POST", "catalog", "/systems", _database(server, provider.system))
        for kind, titles in _LISTS.items():
            rows = [titles, *([*row, ""][: len(titles)] for row in provider.lists[kind])]
            exchange.send("catalog", f"/departments/{provider.slug}/lists/{kind}/imports", write_csv(rows), "text/csv")


def _all(exchange: Exchange, path: str) -> Iterator[Form]:
    asked = f"{path}{'&' if '?' in path else '?'}limit=500"
    page = exchange.ask("GET", "catalog", asked)
    yield from page["items"]
    while page["next"] is not None:
        page = exchange.ask("GET", "catalog", f"{asked}&cursor={page['next']}")
        yield from page["items"]


def _database(server: Server, system: Mapping[str, Any]) -> Form:
    """The form of a system, with a database of its own that the catalogue can log in to; nothing is in it."""
    name = str(system["code"])
    role, password = sql.Identifier(name), sql.Literal(server.owner_password)
    with server.connect_admin() as admin:
        if admin.execute("select 1 from pg_roles where rolname = %s", (name,)).fetchone() is None:
            admin.execute(sql.SQL("create role {} login").format(role))
        admin.execute(sql.SQL("alter role {} password {}").format(role, password))
        if admin.execute("select 1 from pg_database where datname = %s", (name,)).fetchone() is None:
            admin.execute(sql.SQL("create database {} owner {}").format(role, role))
    login = {"username": name, "password": server.owner_password}
    return {**system, "host": server.host, "port": server.port, "database": name, **login}


def _waves(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Entries in an order in which whatever one is related to is published before it."""
    by_code = {entry.code: entry for entry in entries}
    order = TopologicalSorter({entry.code: entry.form.get("related", ()) for entry in entries})
    order.prepare()
    while order.is_active():
        ready = order.get_ready()
        yield [by_code[code] for code in ready if code in by_code]
        order.done(*ready)


def _bring(exchange: Exchange, entry: Entry, found: Form | None) -> Form:
    """Take a resource through its life to where it is to be; the resource then."""
    resource = found or exchange.ask("POST", "catalog", "/resources", entry.earlier or entry.form)
    while step := _next(entry, resource):
        resource = step(exchange)
    return dict(resource)


def _next(entry: Entry, resource: Form) -> Callable[[Exchange], Form] | None:
    """What is to be done next with a resource as it is; None where it is as it should be, or others went on with it."""
    path = f"/resources/{entry.code}"

    def step(action: str, reason: str | None = None) -> Callable[[Exchange], Form]:
        return lambda exchange: exchange.ask("POST", "catalog", f"{path}/steps", {"action": action, "reason": reason})

    def write(form: Form | None) -> Callable[[Exchange], Form]:
        return lambda exchange: exchange.ask("PUT", "catalog", f"{path}/draft", form)

    state, missing = resource["state"], entry.versions - resource["version"]
    untouched = resource["draft"] == resource["published"]
    match state:
        case "draft" if resource["version"] == 0:
            return step("submit")
        case "in_review" if missing > 0:
            return step("approve")
        case "published" if missing > 0:
            return step("revise")
        case "in_revision" if missing > 0:
            return write(entry.form) if untouched else step("submit")
        case "published" if entry.state == "in_revision":
            return step("revise")
        case "in_revision" if entry.state == "in_revision" and untouched:
            return write(entry.revision)
        case "published" if entry.state == "withdrawn":
            return step("withdraw", entry.reason)
    return None
