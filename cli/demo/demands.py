"""Ten demands through every path, as the departments' persons and the data authority would take them, over the API.

Each is a short play: who takes which step. At the end every demand must be in the state that its path leads to.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from rich.table import Table

from cli.demo.stage import comes_true, publish
from cli.demo.world import DEPARTMENTS
from cli.exchange import Exchange, Refused

_PATIENCE_SECONDS = 60.0
_APPLICANT = "medical_insurance"
_FLOWING = frozenset({"delivering"})
_BASIS = {"reason": "申请用途超出法定职责", "legal_basis": "《政务数据共享条例》"}
_DEFECTS = [
    {"pointer": "/purpose", "detail": "请写明对应的业务事项"},
    {"pointer": "/masks/name", "detail": "姓名须脱敏"},
]
_NEARBY = 'region = "320612"'


class Person:
    """Somebody with a token of their own, at the demand side."""

    def __init__(self, exchange: Exchange, role: str, department: str | None = None) -> None:
        form = {"name": f"demo {role} {uuid.uuid4().hex[:8]}", "roles": [role], "department": department}
        token = exchange.ask("POST", "catalog", "/tokens", form)["token"]
        headers = {"Authorization": f"Bearer {token}", "If-Match": "*"}
        self._http = httpx.Client(base_url=exchange.url("demand"), headers=headers, timeout=60)

    def recognised(self) -> bool:
        """Whether the demand side knows the token yet, which comes to it by a topic."""
        return self._http.get("/matching", params={"limit": 1}).status_code != httpx.codes.UNAUTHORIZED

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._http.request(method, path, json=body)
        if answer.is_error:
            problem = answer.json()
            raise Refused(problem["type"].rpartition(":")[2], problem["detail"])
        return answer.json()


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays: the applicant, two persons of each supplying department, the data authority."""

    applicant: Person
    police: Person
    civil: Person
    civil_second: Person
    authority: Person

    def everybody(self) -> tuple[Person, ...]:
        return (self.applicant, self.police, self.civil, self.civil_second, self.authority)


Moves = Iterator[tuple[Person, str, Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Play:
    """A demand: what is asked for, the steps in their order, and the states in which it may be at the end.

    One that `lasts` for a time only names its end when it is drafted.
    """

    path: str
    form: Mapping[str, Any]
    moves: Callable[[Cast], Moves]
    ends: frozenset[str]
    lasts: timedelta | None = None


def _form(title: str, resource: str | None, items: list[str], **more: Any) -> dict[str, Any]:
    return {
        "title": title, "resource": resource, "items": items, "purpose": "参保资格与待遇核验",
        "legal_basis": "《社会保险法》第七十四条", "frequency": "real_time", **more,
    }  # fmt: skip


_PEOPLE = ["id_number", "name", "region", "status"]


def _submitted(cast: Cast) -> Moves:
    yield cast.applicant, "submit", {}


def _accepted(cast: Cast) -> Moves:
    yield from _submitted(cast)
    yield cast.authority, "accept", {}


def _decided(cast: Cast) -> Moves:
    yield from _accepted(cast)
    yield cast.police, "approve", {}


def _by_two(cast: Cast) -> Moves:
    yield from _accepted(cast)
    yield cast.civil, "approve", {}
    yield cast.civil_second, "approve", {}


def _supplemented(cast: Cast) -> Moves:
    yield from _accepted(cast)
    yield cast.police, "return", {"defects": _DEFECTS}
    yield cast.applicant, "supplement", {}
    yield cast.police, "approve", {}


def _refused(cast: Cast) -> Moves:
    yield from _accepted(cast)
    yield cast.police, "refuse", _BASIS


def _disputed(cast: Cast) -> Moves:
    yield from _refused(cast)
    yield cast.applicant, "dispute", {"reason": "核验参保资格属于法定职责"}
    yield cast.applicant, "escalate", {"reason": "双方未能协商一致"}
    yield cast.authority, "overturn", _BASIS | {"reason": "用途属于法定职责，应当共享"}
    yield cast.police, "approve", {}


def _uncatalogued(cast: Cast) -> Moves:
    yield from _accepted(cast)
    yield cast.authority, "match", {"supplier": "civil_affairs"}
    yield cast.civil, "catalogue", {"resource": "funeral_services", "items": ["code", "name"]}
    yield cast.civil, "approve", {}


def _emergency(cast: Cast) -> Moves:
    yield from _submitted(cast)


def _withdrawn(cast: Cast) -> Moves:
    yield from _accepted(cast)
    yield cast.applicant, "withdraw", {}


def _plays(now: datetime) -> list[Play]:
    later = now + timedelta(days=30)
    firms = ["uscc", "name", "region", "status"]
    need = {"responsible": "吴志强", "reason": "台风受灾群众医疗救助"}
    return [
        Play("unconditional", _form("企业参保核验", "enterprises", firms, row_filter=_NEARBY), _submitted, _FLOWING),
        Play("conditional", _form("参保人核验", "population", _PEOPLE, row_filter=_NEARBY), _decided, _FLOWING),
        Play(
            "important, two approvals",
            _form("婚姻状况核验", "marriage_records", ["certificate_no", "region", "registered_on"]),
            _by_two,
            _FLOWING,
        ),
        Play("returned for supplement", _form("转移接续核验", "population", _PEOPLE, row_filter=_NEARBY),
             _supplemented, _FLOWING),
        Play("refused", _form("健康产业推介", "population", _PEOPLE), _refused, frozenset({"refused"})),
        Play("disputed", _form("异地就医核验", "population", _PEOPLE, row_filter=_NEARBY), _disputed, _FLOWING),
        Play(
            "uncatalogued",
            _form("殡葬服务机构名录", None, [], kind="uncatalogued", wanted="全市殡葬服务机构名称、代码"),
            _uncatalogued,
            # nothing is mounted on it yet
            frozenset({"provisioning"}),
        ),
        Play(
            "emergency",
            _form("受灾群众救助", "population", _PEOPLE, row_filter=_NEARBY, emergency=need, legal_basis=None,
                  until=later.isoformat()),
            _emergency,
            _FLOWING,
        ),
        Play(
            "expiry",
            _form("专项核查", "enterprises", firms, row_filter=_NEARBY),
            _submitted,
            frozenset({"expired"}),
            lasts=timedelta(seconds=8),
        ),
        Play("withdrawn", _form("重复申请", "population", _PEOPLE), _withdrawn, frozenset({"withdrawn"})),
    ]  # fmt: skip


def play(exchange: Exchange, *, keep: bool) -> tuple[Table, list[str]]:
    """Play all ten; a table of what became of them, and what of it is not as it must be. Without `keep` all are ended.

    Raises Refused when the exchange refuses a step that must be possible.
    """
    _catalogue(exchange)
    cast = Cast(
        Person(exchange, "consumer", _APPLICANT),
        Person(exchange, "provider", "public_security"),
        Person(exchange, "provider", "civil_affairs"),
        Person(exchange, "provider", "civil_affairs"),
        Person(exchange, "administrator"),
    )
    comes_true(lambda: all(person.recognised() for person in cast.everybody()), _PATIENCE_SECONDS)
    plays = _plays(datetime.now(UTC))
    demands = [_run(cast, one) for one in plays]

    def states() -> list[dict[str, Any]]:
        return [cast.applicant.ask("GET", f"/demands/{demand}") for demand in demands]

    comes_true(
        lambda: all(now["state"] in one.ends for now, one in zip(states(), plays, strict=True)), _PATIENCE_SECONDS
    )
    told = [
        (one, now, cast.applicant.ask("GET", f"/demands/{now['id']}/steps"))
        for one, now in zip(plays, states(), strict=True)
    ]
    wrong = [
        f"{one.path}: {now['state']} instead of {', '.join(one.ends)}"
        for one, now, _ in told
        if now["state"] not in one.ends
    ]
    if not keep:
        for _, now, _ in told:
            if "withdraw" in now["actions"]:
                cast.applicant.ask("POST", f"/demands/{now['id']}/steps", {"action": "withdraw"})
    return _table(told), wrong


def _run(cast: Cast, one: Play) -> str:
    until = {"until": (datetime.now(UTC) + one.lasts).isoformat()} if one.lasts else {}
    demand = str(cast.applicant.ask("POST", "/demands", {**one.form, **until})["id"])
    for person, action, given in one.moves(cast):
        if action == "supplement":
            mended = {**one.form, "purpose": "医保关系转移接续核验", "masks": {"name": {"kind": "keep", "first": 1}}}
            person.ask("PUT", f"/demands/{demand}", mended)
        person.ask("POST", f"/demands/{demand}/steps", {"action": action, **given})
    return demand


def _table(told: list[tuple[Play, dict[str, Any], list[dict[str, Any]]]]) -> Table:
    table = Table(
        box=None, pad_edge=False, header_style="bold", title="\nten demands of the medical insurance department",
        title_justify="left", title_style="",
    )  # fmt: skip
    for column in ("path", "data", "steps", "state"):
        table.add_column(column, no_wrap=column != "steps")
    for one, now, steps in told:
        words = [step["action"].replace("_", " ") for step in steps]
        table.add_row(one.path, now["resource"] or "not catalogued", " → ".join(words), now["state"])
    return table


def _catalogue(exchange: Exchange) -> None:
    """Important data that is mounted, and data that its department catalogues for the demand; fine if it is there."""
    civil = next(one for one in DEPARTMENTS if one.slug == "civil_affairs")
    columns = civil.tables["marriage.registration"]
    titles = ("婚姻登记证号", "男方姓名", "女方姓名", "所在县区", "登记日期")
    items = [
        _item(name, title, "date" if name == "registered_on" else "string", personal=name in ("husband", "wife"))
        for name, title in zip(columns, titles, strict=True)
    ]
    resource = {
        "department": civil.slug, "sharing_type": "conditional", "sharing_conditions": "限法定职责内核验使用",
        "update_cycle": "real_time",
    }  # fmt: skip
    marriages = {"code": "marriage_records", "title": "婚姻登记记录", "abstract": "婚姻登记的逐笔记录。"}
    funerals = {"code": "funeral_services", "title": "殡葬服务机构", "abstract": "全市殡葬服务机构名录。"}
    exchange.ensure("catalog", "/resources", {**resource, **marriages, "grade": "important", "items": items})
    named = [_item("code", "机构代码"), _item("name", "机构名称")]
    exchange.ensure("catalog", "/resources", {**resource, **funerals, "grade": "general", "items": named})
    for code in ("marriage_records", "funeral_services"):
        publish(exchange, code)
    if exchange.ask("GET", "catalog", "/resources/marriage_records")["mount"] is None:
        mount = {"system": civil.database, "schema": "marriage", "table": "registration"}
        exchange.ask("PUT", "catalog", "/resources/marriage_records/mount", mount)


def _item(name: str, title: str, kind: str = "string", *, personal: bool = False) -> dict[str, Any]:
    key = name in ("certificate_no", "code")
    return {
        "name": name, "title": title, "type": kind, "key": key, "nullable": not key,
        "sensitivity": "personal" if personal else "internal",
    }  # fmt: skip
