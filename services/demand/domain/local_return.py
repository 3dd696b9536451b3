"""Local return (属地回流): a higher level gives data back to the lower levels it concerns, each its own rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date

from services.core.defects import Defect
from services.core.divisions import Divisions, level
from services.core.words import Words


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """That the rows of a resource go to departments of a level (2 prefectures, 3 counties), each to its own division.

    `item` is the one that says by its code where a row belongs. `departments` are those that are served, None: all of
    the level.
    """

    item: str
    level: int
    departments: Collection[str] | None


def owed(order: Order, provider: str, seats: Mapping[str, str | None], there: Divisions, day: date) -> dict[str, str]:
    """The division of each department that is to be served on `day`; `seats` are the divisions by department.

    A department whose division was merged serves the one that took its place.
    """
    found = {}
    for department, seat in seats.items():
        if seat is None or department == provider:
            continue
        if order.departments is not None and department not in order.departments:
            continue
        here = there.now(seat, day)
        if here is not None and level(here.code) == order.level:
            found[department] = here.code
    return found


def row_filter(order: Order, division: str) -> str:
    return f'{order.item} within "{division}"'


def defects(
    order: Order, resource: Mapping[str, object], kinds: Mapping[str, str], seats: Mapping[str, str | None]
) -> list[Defect]:
    """What keeps rows of `resource` from being returned so; `kinds` are the types of its items."""
    found = []
    if kinds.get(order.item) != "string":
        words = Words(
            f"the resource has no item {order.item!r} that holds codes of divisions",
            f"该资源没有可存放行政区划代码的信息项“{order.item}”",
        )
        found.append(Defect("/division_item", words))
    if resource["grade"] != "general":
        words = Words(
            "important data goes to each department on its own demand, approved twice",
            "重要数据须由各部门分别申请，经两人审批",
        )
        found.append(Defect("/resource", words))
    for index, department in enumerate(order.departments or ()):
        if department not in seats:
            words = Words(f"there is no department {department!r}", f"没有部门“{department}”")
            found.append(Defect(f"/departments/{index}", words))
        elif seats[department] is None:
            words = Words(f"{department!r} is registered in no division", f"部门“{department}”未登记行政区划")
            found.append(Defect(f"/departments/{index}", words))
    return found
