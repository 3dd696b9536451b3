"""What differs between two versions of a resource, in words that people read and pointers that programs follow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from services.catalog.domain.resource import Terms
from services.core.words import Words


class Kind(StrEnum):
    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that differs; `pointer` names it (items and rules by name, so that an inserted one moves no other)."""

    pointer: str
    kind: Kind
    before: Any
    after: Any
    words: Words


_LABELS = {
    "title": "名称", "abstract": "摘要", "sharing_type": "共享类型", "sharing_conditions": "共享条件",
    "legal_basis": "法律依据", "grade": "分级", "grade_level": "子级", "classified": "涉密", "update_cycle": "更新周期",
    "category": "分类", "format": "格式", "sharing_channels": "共享方式", "openness": "开放属性", "related": "关联资源",
    "scenario": "应用场景", "provision_channel": "提供渠道", "service_item": "事项", "data_class": "数据分类",
    "keywords": "关键词", "service_level": "服务水平", "items": "信息项", "rules": "质量规则", "type": "类型",
    "column": "字段", "key": "主键", "nullable": "可空", "sensitivity": "敏感程度", "description": "说明",
    "length": "长度", "scale": "小数位", "standard": "数据元标准", "code_list": "代码集", "unit": "单位",
    "query_key": "查询键", "parameters": "参数", "severity": "严重程度", "message": "提示", "kind": "种类",
    "order": "顺序",
}  # fmt: skip


def differences(before: Terms, after: Terms) -> list[Difference]:
    """All that differs, in the order of the form; empty for equal terms."""
    return list(_between("", _record(before), _record(after), ""))


def _record(terms: Terms) -> dict[str, Any]:
    record = asdict(terms)
    for lists, name in (("items", "name"), ("rules", "id")):
        record[lists] = {one[name]: one for one in record[lists]} | {
            "": {"order": [one[name] for one in record[lists]]}
        }
    return record


def _between(pointer: str, before: Mapping[str, Any], after: Mapping[str, Any], where: str) -> Iterator[Difference]:
    for name in [*before, *(name for name in after if name not in before)]:
        here = f"{pointer}/{name}" if name else pointer
        label = _LABELS.get(name, name)
        title = f"{where}“{label}”" if where else label
        if name not in after:
            yield Difference(here, Kind.REMOVED, _plain(before[name]), None, _removed(here, title))
        elif name not in before:
            yield Difference(here, Kind.ADDED, None, _plain(after[name]), _added(here, title))
        elif before[name] == after[name]:
            continue
        elif name == "order":
            if sorted(before[name]) == sorted(after[name]):
                words = Words(f"{pointer}: in another order", f"{where}顺序改变")
                yield Difference(pointer, Kind.CHANGED, before[name], after[name], words)
        elif isinstance(before[name], dict) and isinstance(after[name], dict):
            yield from _between(here, before[name], after[name], title if name else where)
        else:
            words = Words(
                f"{here}: {_shown(before[name])} → {_shown(after[name])}",
                f"{title}：由“{_shown(before[name], zh=True)}”改为“{_shown(after[name], zh=True)}”",
            )
            yield Difference(here, Kind.CHANGED, _plain(before[name]), _plain(after[name]), words)


def _added(pointer: str, title: str) -> Words:
    return Words(f"{pointer}: added", f"新增{title}")


def _removed(pointer: str, title: str) -> Words:
    return Words(f"{pointer}: removed", f"删除{title}")


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _shown(value: Any, *, zh: bool = False) -> str:
    if value is None or value == () or value == "":
        return "无" if zh else "nothing"
    if isinstance(value, bool):
        return ("是" if value else "否") if zh else str(value).lower()
    if isinstance(value, tuple | list):
        return ("、" if zh else ", ").join(str(one) for one in value)
    return str(value)
