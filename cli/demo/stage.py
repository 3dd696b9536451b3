"""The sample world set up on a running exchange: catalogued, mounted, granted, each grant with a consumer.

The demo plays on this stage, the benchmarks measure on it, and the road's tests break things on it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from cli.demo.consumer import Access, Received, Receiver
from cli.demo.grants import GRANTS, MOUNTS, RESOURCES, SampleGrant, differences, expected
from cli.demo.world import DEPARTMENTS, Server
from cli.exchange import Exchange
from services.core import masks
from services.sync.projection.plan import grant_secret

Login = Callable[[str], Mapping[str, str]]


@dataclass(slots=True)
class Running:
    """A grant of the demo and its consumer."""

    sample: SampleGrant
    grant: dict[str, Any]
    receiver: Receiver
    operations: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    recent: list[tuple[float, int]] = field(default_factory=list)

    def update(self) -> None:
        """Take in what the consumer has reported."""
        for report in self.receiver.reports():
            self.operations += report.operations
            self.latencies += report.latencies
            self.recent.append((time.monotonic(), report.operations.total()))
        self.recent = [(at, count) for at, count in self.recent if at > time.monotonic() - 5]

    def rate(self) -> float:
        """Records a second, over the last five."""
        return sum(count for _, count in self.recent) / 5

    def received(self) -> Received:
        """All that its consumer holds now."""
        return self.receiver.received()


def server_of(exchange: Exchange) -> Server:
    """The server of the sample departments of this exchange."""
    password = exchange.home.secret("sources_admin_password")
    owner = sha256(f"owner {password}".encode()).hexdigest()[:32]
    return Server(port=exchange.home.ports["sources"], admin_password=password, owner_password=owner)


def catalogue(exchange: Exchange, server: Server) -> None:
    """Register the departments and their systems, publish and mount the two resources; fine if they are there."""
    for department in DEPARTMENTS:
        exchange.ensure(
            "catalog",
            "/departments",
            {"slug": department.slug, "uscc": department.uscc, "name": department.name, "name_en": department.name_en},
        )
        appointments = f"/departments/{department.slug}/appointments"
        if not exchange.ask("GET", "catalog", appointments):
            exchange.ask("POST", "catalog", appointments, {"role": "responsible", "name": department.responsible})
        exchange.ensure(
            "catalog",
            "/systems",
            {
                "code": department.database,
                "department": department.slug,
                "name": department.system_name,
                "host": server.host,
                "port": server.port,
                "database": department.database,
                "username": department.database,
                "password": server.owner_password,
            },
        )
    for code, resource in RESOURCES.items():
        exchange.ensure("catalog", "/resources", resource)
        publish(exchange, code)
        if exchange.ask("GET", "catalog", f"/resources/{code}")["mount"] is None:
            schema, table = MOUNTS[code]
            mount = {"system": _system_of(resource["department"]), "schema": schema, "table": table}
            exchange.ask("PUT", "catalog", f"/resources/{code}/mount", mount)


def publish(exchange: Exchange, code: str) -> None:
    """Take a draft through review, as its department and the data authority would; fine if it is published."""
    for step in ("submit", "approve"):
        if step in exchange.ask("GET", "catalog", f"/resources/{code}")["actions"]:
            exchange.ask("POST", "catalog", f"/resources/{code}/steps", {"action": step})


def _system_of(slug: str) -> str:
    return next(department.database for department in DEPARTMENTS if department.slug == slug)


def open_grants(
    exchange: Exchange, samples: Sequence[SampleGrant] = GRANTS, login: Login | None = None
) -> list[Running]:
    """Grant the samples, and start a consumer for each with its department's own user.

    `login` gives the credentials of a department; without it each department gets new ones, which end those before.
    """
    issue = login or (lambda department: exchange.ask("POST", "demand", f"/departments/{department}/credentials"))
    departments = sorted({str(sample.request["department"]) for sample in samples})
    credentials = {department: issue(department) for department in departments}
    running = []
    for sample in samples:
        grant = exchange.ask("POST", "demand", "/grants", dict(sample.request))
        given = credentials[grant["department"]]
        access = Access(
            bootstrap=exchange.bootstrap,
            registry=exchange.registry_url,
            username=given["username"],
            password=given["password"],
            group=f"{given['group_prefix']}{grant['id']}",
            topic=grant["topic"],
        )
        running.append(Running(sample, grant, Receiver(access)))
    return running


def comes_true(holds: Callable[[], bool], seconds: float) -> bool:
    """Whether something holds within `seconds`; asked ten times a second."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def percentile(ascending: Sequence[float], share: float) -> float:
    """The value below which `share` of a sorted, non-empty sequence lies."""
    return ascending[min(len(ascending) - 1, int(len(ascending) * share))]


def settle(
    exchange: Exchange, server: Server, running: list[Running], patience_seconds: float = 60.0
) -> dict[str, list[str]]:
    """Wait until each consumer holds what it must; what is still different by then, by grant."""
    deadline = time.monotonic() + patience_seconds
    while True:
        left = {}
        for one in running:
            one.update()
            found = differences(wanted(exchange, server, one), one.received().rows)
            if found:
                left[one.sample.name] = found
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.5)


def wanted(exchange: Exchange, server: Server, one: Running) -> dict[Any, dict[str, Any]]:
    """What the consumer of a grant must hold, by the source's own word."""
    owner = RESOURCES[one.sample.request["resource"]]["department"]
    secret = grant_secret(bytes.fromhex(exchange.home.secret("pseudonym_key")), one.grant["id"])
    with server.connect(next(found for found in DEPARTMENTS if found.slug == owner)) as source:
        return expected(one.sample, source, lambda value: masks.pseudonym(value, secret))
