"""`./tongshu bench demand`: lists over 50,000 demands and 5,000 grants, and how soon the broker follows a decision.

The lists are asked for over the API itself, on a Postgres of its own; their peer is the plain SELECT of as many rows of
the same table. The broker's part is played on an exchange of its own: an unconditional demand is submitted, and the
clock stops when the broker has its topic and lets the department read it.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from confluent_kafka.admin import (
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)
from fastapi.testclient import TestClient
from sqlalchemy import text
from sqlalchemy.engine import Engine

from benchmarks.report import Report
from cli.demo.demands import Person
from cli.demo.stage import catalogue, percentile, server_of
from cli.demo.world import create
from cli.exchange import Exchange
from infra import secrets
from infra.embedded.scratch import scratch_database
from services.core import identity
from services.core.db import sessions
from services.core.http import application
from services.core.identity import Role, Token
from services.core.settings import settings
from services.demand import api
from services.demand.demands import Demands

_DEPARTMENTS = 60
_ROUNDS = 30
_TO_REACH_MS = 100.0

# states in about the shares that a place of some years has: most demands have ended well or are being used
_FILL = """
insert into demand.departments
  select 'd' || n, '部门' || n, 'Department ' || n from generate_series(0, {departments} - 1) n;
insert into demand.grants (id, thread, state, resource, contract_version, department, items, channels, api_key_digests,
    fill, purpose, valid_from, topic, granted_by, updated_at)
  select 'g' || n, 't' || n, 'active', 'r' || mod(n, 997), '1.0.0', 'd' || mod(n, {departments}), '[]', '["topic"]',
    '[]', 0, '核验', now(), 'share.d' || mod(n, {departments}) || '.g' || n, '甲', now()
  from generate_series(1, {grants}) n;
insert into demand.demands (id, thread, kind, title, department, supplier, resource, items, masks, channels, purpose,
    frequency, applicants, state, path, returned, approvals, needed, level, ruled, papers, "grant", clock, due_on,
    overdue, revision, created_at, submitted_at, updated_at)
  select lpad(to_hex(n), 11, '0') || 'abcdef', 't' || n, 'catalogued', '申请 ' || n, 'd' || mod(n, {departments}),
    'd' || mod(n * 7 + 1, {departments}), 'r' || mod(n, 997), '["id","name"]', '{{}}', '["topic"]', '核验身份',
    'real_time', '["甲"]', s.state, 'decision', false, '[]', 1, 'none', false, 'none',
    case when n <= {grants} then 'g' || n end,
    case when s.state in ('in_review', 'submitted', 'returned') then 'reply' end,
    case when s.state in ('in_review', 'submitted', 'returned') then date '2026-11-01' + mod(n, 60) end,
    mod(n, 91) = 0, 3, now() - (n || ' minutes')::interval, now(), now()
  from generate_series(1, {demands}) n,
    lateral (select case when n <= {grants} then 'delivering' else
      (array['closed','closed','closed','evaluated','withdrawn','refused','expired','in_review','in_review','submitted',
       'returned','disputed'])[1 + mod(n, 12)] end as state) s;
insert into demand.demand_clocks (id, demand, clock, department, working_days, warned_before, urged_every, stretches,
    due_on, provisional, urged, opened_at)
  select gen_random_uuid(), id, 'reply', supplier, 10, 2, 2, '[["2026-11-01", null]]', due_on, false, 'nobody', now()
  from demand.demands where clock is not null;
insert into demand.demand_steps (demand, action, source, target, actor, party, given, at)
  select id, a.action, 'draft', 'submitted', '甲', 'applicant', '{{}}', now() from demand.demands,
    unnest(array['submit','accept','forward']) as a (action);
insert into demand.notices (department, role, kind, demand, facts, created_at)
  select department, 'handler', 'demand_approved', id, '{{"title": "申请"}}', now() from demand.demands;
"""

_LISTS = {
    "demands, all": ("auditor", "/demands"),
    "demands of a department": ("consumer", "/demands"),
    "demands in a rare state": ("auditor", "/demands?state=disputed&department=d7"),
    "demands, deep in the list": ("auditor", "/demands?state=in_review&cursor={deep}"),
    "demands of a resource": ("auditor", "/demands?resource=r5"),
    "matching list, 500 lines": ("ops", "/matching?limit=500"),
    "matching by department": ("ops", "/matching?department=d7"),
    "matching by department and state": ("ops", "/matching?department=d7&state=in_review"),
    "matching by clock": ("ops", "/matching?clock=reply"),
    "matching, overdue": ("ops", "/matching?overdue=true&state=in_review"),
    "matching, due soon": ("ops", "/matching?due_until=2026-11-03"),
    "clocks": ("auditor", "/clocks"),
    "clocks of a department": ("provider", "/clocks?due_until=2026-11-10"),
    "notices, unread": ("consumer", "/notices?unread=true"),
    "grants": ("administrator", "/grants"),
    "timeline of a demand": ("auditor", "/demands/{one}/timeline"),
}


def lists(report: Report, *, demands: int, grants: int) -> None:
    """Every list over the API, on tables of that size."""
    slowest = 0.0
    with _secrets(), scratch_database("demand") as engine, _client(engine) as ask:
        with engine.begin() as connection:
            connection.exec_driver_sql(_FILL.format(departments=_DEPARTMENTS, demands=demands, grants=grants))
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("analyze"))
        one = f"{demands // 2:011x}abcdef"
        deep = ask("auditor", "/demands?state=in_review&limit=1").json()["next"]
        for what, (role, path) in _LISTS.items():
            spread = []
            for _ in range(_ROUNDS):
                begun = time.perf_counter()
                answer = ask(role, path.format(one=one, deep=deep))
                spread.append(time.perf_counter() - begun)
                answer.raise_for_status()
            middle = percentile(sorted(spread), 0.5) * 1_000
            slowest = max(slowest, middle)
            report.add(f"{what}, p50", middle, "ms")
            report.add(f"{what}, p95", percentile(sorted(spread), 0.95) * 1_000, "ms")
            if path.endswith("limit=500"):
                ours = percentile(sorted(spread), 0.5)
        report.add("slowest list, p50", slowest, "ms")
        report.compare("matching_over_select", ours, _plain(engine))
    report.compare("slowest_over_100_ms", slowest, _TO_REACH_MS)


def _plain(engine: Engine) -> float:
    spread = []
    for _ in range(_ROUNDS):
        begun = time.perf_counter()
        with engine.connect() as connection:
            connection.execute(text("select * from demand.demands order by id limit 500")).all()
        spread.append(time.perf_counter() - begun)
    return percentile(sorted(spread), 0.5)


@contextmanager
def _secrets() -> Iterator[None]:
    """Secrets for this process, as a service finds them."""
    kept = os.environ.get("TONGSHU_SECRETS")
    with tempfile.TemporaryDirectory() as folder:
        secrets.make(Path(folder))
        os.environ["TONGSHU_SECRETS"] = folder
        settings.cache_clear()
        try:
            yield
        finally:
            settings.cache_clear()
            os.environ.pop("TONGSHU_SECRETS")
            if kept is not None:
                os.environ["TONGSHU_SECRETS"] = kept


@contextmanager
def _client(engine: Engine) -> Iterator[Callable[[str, str], Any]]:
    """The demand side's app over a database alone, and callers of every role: `(role, path)` is answered."""
    known, headers = {}, {}
    for role in Role:
        token, token_id, digest = identity.new_token()
        department = "d7" if role in identity.OF_A_DEPARTMENT else None
        known[token_id] = Token(
            id=token_id, digest=digest, name=role, department=department, roles=frozenset({role}), expires_at=None,
            revoked=False,
        )  # fmt: skip
        headers[role.value] = {"Authorization": f"Bearer {token}"}

    class Side:
        session = staticmethod(sessions(engine))
        settings = settings()
        registrar = None

    app = application("demand", {})
    identity.install(app, known.get)
    api.install(app, cast(Demands, Side()))
    with TestClient(app) as client:
        yield lambda role, path: client.get("/api/demand/v1" + path, headers=headers[role])


def broker(report: Report, exchange: Exchange) -> None:
    """From the submission of an unconditional demand until the broker has its topic and lets its department read."""
    server = server_of(exchange)
    create(server, seed=809, scale=0.05)
    catalogue(exchange, server)
    applicant, admin = Person(exchange, "consumer", "medical_insurance"), exchange.admin()
    while not applicant.recognised():
        time.sleep(0.1)
    form = {
        "title": "核验", "resource": "enterprises", "items": ["uscc", "name"], "purpose": "核验", "legal_basis": "某法",
    }  # fmt: skip
    spread = []
    for _ in range(_ROUNDS):
        demand = applicant.ask("POST", "/demands", form)["id"]
        begun = time.perf_counter()
        applicant.ask("POST", f"/demands/{demand}/steps", {"action": "submit"})
        while not _is_open(admin, exchange, demand, applicant):
            time.sleep(0.01)
        spread.append(time.perf_counter() - begun)
    for name, share in (("p50", 0.5), ("p95", 0.95), ("worst", 1.0)):
        report.add(f"submitted to readable at the broker, {name}", percentile(sorted(spread), share) * 1_000, "ms")


def _is_open(admin: AdminClient, exchange: Exchange, demand: str, applicant: Person) -> bool:
    grant = applicant.ask("GET", f"/demands/{demand}")["grant"]
    if grant is None:
        return False
    topic = f"share.medical_insurance.{grant}"
    wanted = AclBindingFilter(
        ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, "User:dept.medical_insurance", "*",
        AclOperation.READ, AclPermissionType.ALLOW,
    )  # fmt: skip
    return bool(admin.describe_acls(wanted).result(10)) and topic in admin.list_topics(timeout=10).topics
