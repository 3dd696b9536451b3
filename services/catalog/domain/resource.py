"""Data resources (政务数据资源) and the rules of publishing them.

`Terms` is what a department writes and a reviewer decides about; `PublishedResource` is what the others get to know:
the terms in force and what the exchange adds (version, contract, mount, dates). Its record is the value of
`catalog.resources`.

A rule never stops at the first defect: whoever fills in a catalogue is told all of them at once (domain.md, Clocks).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from services.core.defects import Defect
from services.core.words import Words

_SLUG = re.compile(r"[a-z][a-z0-9_]{0,39}")


class SharingType(StrEnum):
    """Sharing type (共享类型), Measures for sharing government information resources (2016), article 9."""

    UNCONDITIONAL = "unconditional"
    CONDITIONAL = "conditional"
    NOT_SHARED = "not_shared"


class Grade(StrEnum):
    """Grade (分级), GB/T 43697-2024; core data never goes through this exchange."""

    GENERAL = "general"
    IMPORTANT = "important"
    CORE = "core"

    @property
    def rank(self) -> int:
        """Greater is more sensitive: where in doubt, the greater holds (就高从严)."""
        return ("general", "important", "core").index(self.value)


class ItemType(StrEnum):
    STRING = "string"
    INTEGER = "integer"
    DECIMAL = "decimal"
    DOUBLE = "double"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"

    @property
    def letter(self) -> str:
        """The letter of the type in the 13-element form (编制指南 2017)."""
        return {
            "string": "C", "integer": "I", "decimal": "N", "double": "B", "boolean": "L", "date": "D", "timestamp": "T",
        }[self.value]  # fmt: skip


class Sensitivity(StrEnum):
    OPEN = "open"
    INTERNAL = "internal"
    PERSONAL = "personal"
    SECRET = "secret"


class UpdateCycle(StrEnum):
    REAL_TIME = "real_time"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    YEARLY = "yearly"


class Channel(StrEnum):
    """Delivery channel (共享方式)."""

    TOPIC = "topic"
    TABLE = "table"
    API = "api"
    PRODUCT = "product"
    FILE = "file"


class FormatKind(StrEnum):
    """Format of a resource (信息资源格式, 编制指南 2017)."""

    FILE = "file"
    SPREADSHEET = "spreadsheet"
    DATABASE = "database"
    IMAGE = "image"
    STREAM = "stream"
    SELF_DESCRIBING = "self_describing"


class MountKind(StrEnum):
    """What a resource is tied to (挂接): a table's change stream, a topic its system fills, an API, a file drop."""

    TABLE = "table"
    TOPIC = "topic"
    API = "api"
    FILE = "file"

    @property
    def is_filled(self) -> bool:
        """Whether its change topic is written by the contract's schemas, and not by a connector."""
        return self is not MountKind.TABLE


class RuleKind(StrEnum):
    """What a quality rule asks of a row (services/core/quality.py)."""

    REQUIRED = "required"
    PATTERN = "pattern"
    RANGE = "range"
    ENUMERATION = "enumeration"
    CODE_LIST = "code_list"
    CHECK_DIGIT = "check_digit"
    UNIQUE = "unique"
    COMPARE = "compare"
    FRESHNESS = "freshness"
    CONSISTENT = "consistent"


class Severity(StrEnum):
    """What a broken rule does: `error` sends the row to quarantine, `warning` is counted and the row goes on."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """An information item (信息项): one field of a resource, and the column that holds it.

    `length` counts characters of a text and digits of a number, `scale` its decimal places; `standard` names a data
    element, `code_list` the list its values are from; `query_key` says that rows may be looked up by it.
    """

    name: str
    title: str
    type: ItemType
    column: str
    key: bool = False
    nullable: bool = True
    sensitivity: Sensitivity = Sensitivity.INTERNAL
    description: str | None = None
    length: int | None = None
    scale: int | None = None
    standard: str | None = None
    code_list: str | None = None
    unit: str | None = None
    query_key: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A quality rule of the contract, as data; `parameters` is JSON whose form depends on the kind."""

    id: str
    kind: RuleKind
    items: Sequence[str]
    parameters: str = "{}"
    severity: Severity = Severity.ERROR
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceLevel:
    """What the provider promises; `availability_percent` is a decimal in text ("99.9")."""

    max_delay_seconds: int | None = None
    availability_percent: str | None = None
    retention_days: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    kind: FormatKind
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Openness:
    """Whether society may have the data too (社会开放), and on what conditions."""

    open: bool = False
    conditions: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a resource is and on what terms it is shared: all that its department writes.

    The 13 core elements (编制指南 2017) and this project's own. `category` is a category's code, `service_item` a
    service item's, `related` holds codes of other resources.
    """

    code: str
    title: str
    abstract: str
    department: str
    sharing_type: SharingType
    sharing_conditions: str | None = None
    legal_basis: str | None = None
    grade: Grade
    classified: bool = False
    update_cycle: UpdateCycle
    items: Sequence[Item]
    category: str | None = None
    format: Format = field(default_factory=lambda: Format(kind=FormatKind.DATABASE))
    sharing_channels: Sequence[Channel] = (Channel.TOPIC,)
    openness: Openness = field(default_factory=Openness)
    related: Sequence[str] = ()
    scenario: str | None = None
    provision_channel: str | None = None
    service_item: str | None = None
    grade_level: int | None = None
    data_class: str | None = None
    keywords: Sequence[str] = ()
    rules: Sequence[Rule] = ()
    service_level: ServiceLevel = field(default_factory=ServiceLevel)


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryStep:
    """A step on the path through the category tree, from the class (类) down."""

    code: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceItem:
    """Why a department holds the data: a service item (事项) and the power (权力) it exercises."""

    code: str
    name: str
    power_code: str
    power_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """The contract in force: its version (major.minor.patch) and the Avro schema it has in the registry."""

    version: str
    subject: str
    schema_id: int
    schema: str
    published_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """Where the data really is. What a kind has no use for is empty (`schema`, `table`, `connector`, `topic`).

    `halted` says why nothing may flow just now, `halted_items` which items may not (drift stops only what it must).
    """

    kind: MountKind = MountKind.TABLE
    system: str
    schema: str = ""
    table: str = ""
    topic: str = ""
    connector: str = ""
    endpoint: str | None = None
    halted: str | None = None
    halted_items: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedResource:
    """A published resource in full, as everyone may know it. Times are aware and in UTC.

    `catalogue_code` is its code by the place's scheme (信息资源代码); `regraded_at` is when its grade last rose, from
    when on older grants must be decided again.
    """

    code: str
    catalogue_code: str
    title: str
    abstract: str
    department: str
    department_uscc: str
    department_name: str
    department_name_en: str
    division: str | None
    version: int
    contract_version: str
    sharing_type: SharingType
    sharing_conditions: str | None
    sharing_channels: Sequence[Channel]
    legal_basis: str | None
    grade: Grade
    grade_level: int | None
    data_class: str | None
    regraded_at: datetime | None
    update_cycle: UpdateCycle
    category: Sequence[CategoryStep]
    format: Format
    openness: Openness
    related: Sequence[str]
    scenario: str | None
    provision_channel: str | None
    service_item: ServiceItem | None
    keywords: Sequence[str]
    items: Sequence[Item]
    rules: Sequence[Rule]
    service_level: ServiceLevel
    contract: Contract | None
    mount: Mount | None
    first_published_at: datetime
    published_at: datetime
    updated_at: datetime

    def record(self) -> dict[str, Any]:
        """The value of `catalog.resources` (schemas/avro/catalog.resources.avsc)."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> PublishedResource:
        """The resource of a value of `catalog.resources`, read with the newest schema."""
        mount, contract, service_item = record["mount"], record["contract"], record["service_item"]
        published = record["published_at"] or record["updated_at"]
        return cls(
            **{
                **record,
                "sharing_type": SharingType(record["sharing_type"]),
                "sharing_channels": tuple(Channel(channel) for channel in record["sharing_channels"]),
                "grade": Grade(record["grade"]),
                "update_cycle": UpdateCycle(record["update_cycle"]),
                "category": tuple(CategoryStep(**step) for step in record["category"]),
                "format": _format(record["format"] or {"kind": "database"}),
                "openness": Openness(**(record["openness"] or {})),
                "related": tuple(record["related"]),
                "keywords": tuple(record["keywords"]),
                "service_item": ServiceItem(**service_item) if service_item else None,
                "items": tuple(item_of(item) for item in record["items"]),
                "rules": tuple(rule_of(rule) for rule in record["rules"]),
                "service_level": ServiceLevel(**(record["service_level"] or {})),
                "contract": Contract(**contract) if contract else None,
                "mount": mount_of(mount) if mount else None,
                "first_published_at": record["first_published_at"] or published,
                "published_at": published,
            }
        )


def item_of(record: Mapping[str, Any]) -> Item:
    return Item(
        **{
            **record,
            "type": ItemType(record["type"]),
            "sensitivity": Sensitivity(record.get("sensitivity", "internal")),
        }
    )


def rule_of(record: Mapping[str, Any]) -> Rule:
    kind, severity = RuleKind(record["kind"]), Severity(record.get("severity", "error"))
    return Rule(**{**record, "kind": kind, "severity": severity, "items": tuple(record["items"])})


def mount_of(record: Mapping[str, Any]) -> Mount:
    kind = MountKind(record.get("kind", "table"))
    return Mount(**{**record, "kind": kind, "halted_items": tuple(record.get("halted_items", ()))})


def _format(record: Mapping[str, Any]) -> Format:
    return Format(**{**record, "kind": FormatKind(record["kind"])})


def terms_of(record: Mapping[str, Any]) -> Terms:
    """Terms as they are kept (the JSON of `asdict`); raises KeyError, TypeError and ValueError for anything else."""
    return Terms(
        **{
            **record,
            "sharing_type": SharingType(record["sharing_type"]),
            "sharing_channels": tuple(Channel(channel) for channel in record.get("sharing_channels", ("topic",))),
            "grade": Grade(record["grade"]),
            "update_cycle": UpdateCycle(record["update_cycle"]),
            "format": _format(record.get("format") or {"kind": "database"}),
            "openness": Openness(**(record.get("openness") or {})),
            "related": tuple(record.get("related", ())),
            "keywords": tuple(record.get("keywords", ())),
            "items": tuple(item_of(item) for item in record["items"]),
            "rules": tuple(rule_of(rule) for rule in record.get("rules", ())),
            "service_level": ServiceLevel(**(record.get("service_level") or {})),
        }
    )


def slug_defect(pointer: str, text: str) -> list[Defect]:
    if _SLUG.fullmatch(text):
        return []
    rule = Words(
        f"{text!r} must begin with a lower-case letter and hold at most 40 lower-case letters, digits and underscores",
        f"“{text}”须以小写字母开头，由小写字母、数字、下划线组成，不超过 40 个字符",
    )
    return [Defect(pointer, rule)]


def publication_defects(terms: Terms) -> list[Defect]:
    """All that keeps a resource from being published; empty when it may be.

    Sources: Measures for sharing government information resources (2016), articles 9 and 10; GB/T 43697-2024.
    """
    return (
        slug_defect("/code", terms.code)
        + _text_defects(terms)
        + entry_defects(terms)
        + _handling_defects(terms)
        + _sharing_defects(terms)
        + _item_defects(terms.items)
    )


def _blank(text: str | None) -> bool:
    return not (text or "").strip()


def _text_defects(terms: Terms) -> list[Defect]:
    defects = []
    if _blank(terms.title):
        defects.append(Defect("/title", Words("is empty", "不能为空")))
    if _blank(terms.abstract):
        defects.append(Defect("/abstract", Words("is empty", "不能为空")))
    if terms.code in terms.related:
        defects.append(Defect("/related", Words("a resource is not related to itself", "不能关联自身")))
    return defects


def entry_defects(terms: Terms) -> list[Defect]:
    """What may not be in the catalogue at all, not even as a draft (GB/T 43697-2024 and the law on state secrets)."""
    defects = []
    if terms.classified:
        detail = Words("state secrets never enter the exchange", "涉密数据不得进入本平台")
        defects.append(Defect("/classified", detail))
    if terms.grade is Grade.CORE:
        detail = Words("core data never goes through the exchange", "核心数据不得通过本平台共享")
        defects.append(Defect("/grade", detail))
    return defects


def _handling_defects(terms: Terms) -> list[Defect]:
    defects = []
    if terms.grade is Grade.IMPORTANT and terms.sharing_type is SharingType.UNCONDITIONAL:
        detail = Words("important data is shared on conditions only", "重要数据只能有条件共享")
        defects.append(Defect("/sharing_type", detail))
    return defects


def _sharing_defects(terms: Terms) -> list[Defect]:
    defects = []
    if terms.sharing_type is SharingType.CONDITIONAL and _blank(terms.sharing_conditions):
        detail = Words("a conditional resource names its conditions", "有条件共享须写明共享条件")
        defects.append(Defect("/sharing_conditions", detail))
    if terms.sharing_type is SharingType.UNCONDITIONAL:
        if not _blank(terms.sharing_conditions):
            detail = Words("an unconditional resource has no conditions", "无条件共享不得附加条件")
            defects.append(Defect("/sharing_conditions", detail))
        for index, item in enumerate(terms.items):
            if item.sensitivity is Sensitivity.SECRET:
                detail = Words(
                    "a secret item is never shown in clear, which is a condition: the resource is not unconditional",
                    "敏感项不得明文提供，属于附加条件，该资源不能定为无条件共享",
                )
                defects.append(Defect(f"/items/{index}/sensitivity", detail))
    if terms.sharing_type is SharingType.NOT_SHARED:
        if _blank(terms.legal_basis):
            detail = Words("a resource that is not shared cites the law it rests on", "不予共享须注明法律法规依据")
            defects.append(Defect("/legal_basis", detail))
    elif not terms.sharing_channels:
        defects.append(Defect("/sharing_channels", Words("name at least one channel", "至少选择一种共享方式")))
    if terms.openness.open and (
        terms.sharing_type is SharingType.NOT_SHARED
        or any(item.sensitivity in (Sensitivity.PERSONAL, Sensitivity.SECRET) for item in terms.items)
    ):
        detail = Words(
            "what is not shared, personal or secret is not opened to society",
            "不予共享或含个人、敏感信息项的资源不得向社会开放",
        )
        defects.append(Defect("/openness/open", detail))
    return defects


def _item_defects(items: Sequence[Item]) -> list[Defect]:
    defects: list[Defect] = []
    if not items:
        detail = Words("a resource has at least one information item", "至少有一个信息项")
        defects.append(Defect("/items", detail))
    elif not any(item.key for item in items):
        detail = Words("no item is a key: mark what identifies a row", "没有主键信息项，请标明用什么识别一行数据")
        defects.append(Defect("/items", detail))
    names: set[str] = set()
    columns: set[str] = set()
    for index, item in enumerate(items):
        defects += slug_defect(f"/items/{index}/name", item.name)
        if item.name in names:
            defects.append(Defect(f"/items/{index}/name", Words(f"{item.name!r} is there twice", f"“{item.name}”重复")))
        if item.column in columns:
            detail = Words(f"column {item.column!r} is taken by another item", f"字段“{item.column}”已对应其他信息项")
            defects.append(Defect(f"/items/{index}/column", detail))
        if item.key and item.nullable:
            detail = Words("a key item may not be nullable", "主键信息项不得为空")
            defects.append(Defect(f"/items/{index}/nullable", detail))
        if item.scale is not None and (item.length is None or item.scale > item.length):
            detail = Words("has more decimal places than digits", "小数位数不得超过总位数")
            defects.append(Defect(f"/items/{index}/scale", detail))
        names.add(item.name)
        columns.add(item.column)
    return defects
