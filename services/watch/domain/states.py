"""What the states that others tell say is wrong: mounts that are stopped, rows that wait for their correction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from services.core.words import Words
from services.watch.domain.alert import Cause, Severity

_RULES_NAMED = 8

State = Mapping[str, Any]


def of_mounts(resources: Iterable[State]) -> Iterator[Cause]:
    """Mounts that the catalogue has stopped; values of `catalog.resources`."""
    for one in resources:
        reason = (one["mount"] or {}).get("halted")
        if reason:
            yield Cause(
                rule="mount-halted", subject=one["code"], department=one["department"], severity=Severity.CRITICAL,
                text=Words(f"Its mount is stopped: {reason}", f"挂接已停止，数据不再流动：{reason}"),
                evidence={"resource": one["code"], "system": one["mount"]["system"], "reason": reason},
            )  # fmt: skip


def of_waiting(waiting: Iterable[State], resources: Iterable[State]) -> Iterator[Cause]:
    """Resources of which rows are set aside until they are corrected; values of `sync.waiting`."""
    owners = {one["code"]: one["department"] for one in resources}
    rows, rules = waiting_rows(waiting)
    for resource, count in sorted(rows.items()):
        broken = ", ".join(rule for rule, _ in rules[resource].most_common(_RULES_NAMED))
        yield Cause(
            rule="rows-wait", subject=resource, department=owners.get(resource), severity=Severity.WARNING,
            text=Words(
                f"Rows that break a rule ({broken}) are not delivered until they are corrected.",
                f"有数据行不符合规则（{broken}），更正之前不会交付。",
            ),
            evidence={"resource": resource, "rows": count, "rules": broken},
        )  # fmt: skip


def waiting_rows(waiting: Iterable[State]) -> tuple[Counter[str], Mapping[str, Counter[str]]]:
    """How many rows of each resource wait, and how many break which rule; what was released waits no more."""
    rows: Counter[str] = Counter()
    rules: dict[str, Counter[str]] = {}
    for one in waiting:
        if not one["released"]:
            rows[one["resource"]] += 1
            rules.setdefault(one["resource"], Counter()).update(one["rules"])
    return rows, rules
