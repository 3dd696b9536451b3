"""Contracts in the Open Data Contract Standard v3.1.0 (Bitol), both ways.

Every fact stands in one place: in the standard's own field where it has one, else in `customProperties` (sharing type,
legal basis, code and the like, by the names in `_CUSTOM`). Reading back gives the same terms. Quality rules that the
standard's library can express are written so, on their property; the others are custom checks of the engine `tongshu`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from services.catalog.domain.resource import (
    Channel,
    Format,
    FormatKind,
    Grade,
    Item,
    ItemType,
    Openness,
    PublishedResource,
    Rule,
    RuleKind,
    Sensitivity,
    ServiceLevel,
    Severity,
    SharingType,
    Terms,
    UpdateCycle,
)
from services.catalog.exports import contract_yaml
from services.core.defects import Defect
from services.core.words import Words

API_VERSION = "v3.1.0"
ENGINE = "tongshu"

_READ = re.compile(r"v3\.[01]\.\d+")
_E = TypeVar("_E", bound=StrEnum)
_LOGICAL: Mapping[ItemType, str] = {
    ItemType.STRING: "string",
    ItemType.INTEGER: "integer",
    ItemType.DECIMAL: "number",
    ItemType.DOUBLE: "number",
    ItemType.BOOLEAN: "boolean",
    ItemType.DATE: "date",
    ItemType.TIMESTAMP: "timestamp",
}
_DIMENSIONS: Mapping[RuleKind, str] = {
    RuleKind.REQUIRED: "completeness",
    RuleKind.PATTERN: "conformity",
    RuleKind.RANGE: "accuracy",
    RuleKind.ENUMERATION: "conformity",
    RuleKind.CODE_LIST: "conformity",
    RuleKind.CHECK_DIGIT: "accuracy",
    RuleKind.UNIQUE: "uniqueness",
    RuleKind.COMPARE: "consistency",
    RuleKind.FRESHNESS: "timeliness",
    RuleKind.CONSISTENT: "consistency",
}
_DOUBLES = re.compile(r"(double|float|real|double precision)\b", re.IGNORECASE)
_PRECISION = re.compile(r"\w+\s*\(\s*(\d{1,4})\s*(?:,\s*(\d{1,4})\s*)?\)")
# what the exchange keeps by itself or has no use for: said, not lost in silence
_NOT_TAKEN = ("servers", "support", "price", "team", "roles", "authoritativeDefinitions", "slaDefaultElement")


class ContractRefused(Exception):
    """A document that cannot be read as terms; `defects` name all that must be mended, by JSON pointers into it."""

    def __init__(self, defects: Sequence[Defect]) -> None:
        super().__init__("; ".join(f"{defect.pointer}: {defect.detail}" for defect in defects))
        self.defects = defects


@dataclass(frozen=True, slots=True)
class Imported:
    """Terms as a document has them, and what of it was not taken over."""

    terms: Terms
    left_out: Sequence[Defect]


def terms_in_force(resource: PublishedResource) -> Terms:
    """What the department wrote of a published resource."""
    return Terms(
        code=resource.code,
        title=resource.title,
        abstract=resource.abstract,
        department=resource.department,
        sharing_type=resource.sharing_type,
        sharing_conditions=resource.sharing_conditions,
        legal_basis=resource.legal_basis,
        grade=resource.grade,
        update_cycle=resource.update_cycle,
        items=tuple(resource.items),
        category=resource.category[-1].code if resource.category else None,
        format=resource.format,
        sharing_channels=tuple(resource.sharing_channels),
        openness=resource.openness,
        related=tuple(resource.related),
        scenario=resource.scenario,
        provision_channel=resource.provision_channel,
        service_item=resource.service_item.code if resource.service_item else None,
        grade_level=resource.grade_level,
        data_class=resource.data_class,
        keywords=tuple(resource.keywords),
        rules=tuple(_canonical(rule) for rule in resource.rules),
        service_level=resource.service_level,
    )


def export(resource: PublishedResource) -> bytes:
    """The contract in force of a published resource, as YAML."""
    terms = terms_in_force(resource)
    mount = resource.mount
    where = None
    if mount is not None:
        where = f"{mount.schema}.{mount.table}" if mount.table else mount.topic or mount.endpoint
    known = frozenset(item.name for item in terms.items)
    rules = [(_owner(rule, known), place, rule) for place, rule in enumerate(terms.rules)]
    document = _given(
        apiVersion=API_VERSION,
        kind="DataContract",
        id=terms.code,
        name=terms.title,
        version=resource.contract_version,
        status="active",
        tenant=terms.department,
        description=_given(purpose=terms.abstract, usage=terms.scenario),
        tags=list(terms.keywords) or None,
        schema=[
            _given(
                name=terms.code,
                physicalName=where,
                physicalType=mount.kind.value if mount else None,
                logicalType="object",
                properties=[
                    _property(
                        item,
                        terms.items,
                        [_quality(place, rule, on_property=True) for on, place, rule in rules if on == item.name],
                    )
                    for item in terms.items
                ],
                quality=[_quality(place, rule, on_property=False) for on, place, rule in rules if on is None] or None,
            )
        ],
        slaProperties=_service_level(terms.service_level) or None,
        customProperties=_custom({name: write(terms) for name, write in _CUSTOM.items()}),
    )
    return contract_yaml.dump(document)


_CUSTOM: Mapping[str, Callable[[Terms], Any]] = {
    "code": lambda terms: terms.code,
    "department": lambda terms: terms.department,
    "sharingType": lambda terms: terms.sharing_type.value,
    "sharingConditions": lambda terms: terms.sharing_conditions,
    "sharingChannels": lambda terms: [channel.value for channel in terms.sharing_channels],
    "legalBasis": lambda terms: terms.legal_basis,
    "grade": lambda terms: terms.grade.value,
    "gradeLevel": lambda terms: terms.grade_level,
    "dataClass": lambda terms: terms.data_class,
    "updateCycle": lambda terms: terms.update_cycle.value,
    "category": lambda terms: terms.category,
    "format": lambda terms: terms.format.kind.value,
    "formatDetail": lambda terms: terms.format.detail,
    "open": lambda terms: terms.openness.open,
    "opennessConditions": lambda terms: terms.openness.conditions,
    "related": lambda terms: list(terms.related) or None,
    "provisionChannel": lambda terms: terms.provision_channel,
    "serviceItem": lambda terms: terms.service_item,
}


def _given(**facts: Any) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value is not None}


def _custom(facts: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    return [{"property": name, "value": value} for name, value in facts.items() if value is not None] or None


def _property(item: Item, items: Sequence[Item], quality: list[dict[str, Any]]) -> dict[str, Any]:
    keys = [one.name for one in items if one.key]
    text = item.type is ItemType.STRING
    return _given(
        name=item.name,
        businessName=item.title,
        physicalName=item.column,
        physicalType=item.type.value if item.type in (ItemType.DECIMAL, ItemType.DOUBLE) else None,
        description=item.description,
        primaryKey=True if item.key else None,
        primaryKeyPosition=keys.index(item.name) + 1 if item.key else None,
        logicalType=_LOGICAL[item.type],
        logicalTypeOptions={"maxLength": item.length} if text and item.length is not None else None,
        required=not item.nullable,
        classification=item.sensitivity.value,
        customProperties=_custom(
            {
                "length": None if text else item.length,
                "scale": item.scale,
                "standard": item.standard,
                "codeList": item.code_list,
                "unit": item.unit,
                "queryKey": True if item.query_key else None,
            }
        ),
        quality=quality or None,
    )


def _parameters(rule: Rule) -> dict[str, Any] | None:
    try:
        parsed = json.loads(rule.parameters)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _canonical(rule: Rule) -> Rule:
    parameters = _parameters(rule)
    text = rule.parameters if parameters is None else _json(parameters)
    return Rule(
        id=rule.id,
        kind=rule.kind,
        items=tuple(rule.items),
        parameters=text,
        severity=rule.severity,
        message=rule.message,
    )


def _json(parameters: Mapping[str, Any]) -> str:
    return json.dumps(parameters, ensure_ascii=False, sort_keys=True)


def _owner(rule: Rule, items: Collection[str]) -> str | None:
    """The property that a rule is written on; None: it is written on the table."""
    if len(rule.items) != 1 or rule.items[0] not in items or _of_one_value(rule) is None:
        return None
    return rule.items[0]


def _of_one_value(rule: Rule) -> dict[str, Any] | None:
    """A rule about single values as a metric of the standard's library; None where none means the same."""
    parameters = _parameters(rule)
    if rule.kind is RuleKind.REQUIRED and parameters == {}:
        return {"metric": "nullValues", "mustBe": 0}
    if rule.kind is RuleKind.ENUMERATION and parameters is not None and set(parameters) == {"values"}:
        return {"metric": "invalidValues", "mustBe": 0, "arguments": {"validValues": parameters["values"]}}
    return None


def _check(rule: Rule, *, on_property: bool) -> dict[str, Any]:
    parameters = _parameters(rule)
    if on_property and (metric := _of_one_value(rule)) is not None:
        return {"type": "library", **metric}
    if rule.kind is RuleKind.UNIQUE and parameters == {} and rule.items:
        named = {"properties": list(rule.items)}
        return {"type": "library", "metric": "duplicateValues", "mustBe": 0, "arguments": named}
    how = {
        "kind": rule.kind.value,
        "items": list(rule.items),
        "parameters": rule.parameters if parameters is None else parameters,
    }
    return {"type": "custom", "engine": ENGINE, "implementation": how}


def _quality(place: int, rule: Rule, *, on_property: bool) -> dict[str, Any]:
    return {
        "name": rule.id,
        **({"description": rule.message} if rule.message else {}),
        **_check(rule, on_property=on_property),
        "dimension": _DIMENSIONS[rule.kind],
        "severity": rule.severity.value,
        # a contract's rules have an order, and the standard spreads them over its properties
        "customProperties": [{"property": "position", "value": place + 1}],
    }


def _service_level(level: ServiceLevel) -> list[dict[str, Any]]:
    promised = (
        ("latency", level.max_delay_seconds, "s"),
        ("availability", level.availability_percent, "percent"),
        ("retention", level.retention_days, "d"),
    )
    return [{"property": name, "value": value, "unit": unit} for name, value, unit in promised if value is not None]


def read(data: bytes) -> Imported:
    """The terms in an ODCS document of version 3; raises ContractRefused with every defect of it.

    That the terms may be published is for `publication_defects` to say. What an outsider's document leaves out is asked
    for, never guessed, but for what the standard's own fields say plainly: `tenant` is taken for the department, the
    schema's name for the code where it is not given in `customProperties`.
    """
    try:
        document = contract_yaml.load(data)
    except contract_yaml.Unreadable as error:
        raise ContractRefused([Defect("", error.words)]) from error
    return _Reading(document).imported()


class _Reading:
    """One walk over a document, which gathers what is wrong with it and what it says that has no place in terms."""

    def __init__(self, document: Any) -> None:
        self.document = document
        self.defects: list[Defect] = []
        self.left_out: list[Defect] = []

    def imported(self) -> Imported:
        if not isinstance(self.document, dict):
            raise ContractRefused([Defect("", Words("is not a mapping", "顶层不是键值结构"))])
        document = self.document
        version = self.text(document, "", "apiVersion", needed=True)
        if version is not None and not _READ.fullmatch(version):
            detail = Words(f"{version} is not read, v3.0 and v3.1 are", f"不支持 {version}，支持 v3.0、v3.1")
            self.wrong("/apiVersion", detail)
        if self.text(document, "", "kind", needed=True) not in (None, "DataContract"):
            self.wrong("/kind", Words("is not DataContract", "应为 DataContract"))
        for name in ("id", "version", "status"):
            self.text(document, "", name, needed=True)
        for name in _NOT_TAKEN:
            if document.get(name):
                self.left(f"/{name}")
        for name in sorted(set(document) - _KNOWN - set(_NOT_TAKEN)):
            self.left(f"/{name}")
        custom = self.custom(document, "", frozenset(_CUSTOM))
        table, where = self.schema(document)
        items, rules = self.items(table, where) if table else ((), ())
        description = self.mapping(document, "", "description")
        terms = self.terms(document, custom, description, table)
        if self.defects:
            raise ContractRefused(self.defects)
        return Imported(Terms(**terms, items=items, rules=rules), self.left_out)

    def terms(
        self,
        document: Mapping[str, Any],
        custom: Mapping[str, tuple[Any, str]],
        description: Mapping[str, Any],
        table: Mapping[str, Any] | None,
    ) -> dict[str, Any]:
        def choice(name: str, kind: type[_E]) -> _E | None:
            value, pointer = custom.get(name, (None, "/customProperties"))
            if value is None:
                self.wrong(pointer, Words(f"has no property {name}", f"缺少属性 {name}"))
                return None
            return self.one_of(value, pointer, kind)

        def text(name: str, default: Any = None) -> Any:
            value, pointer = custom.get(name, (default, ""))
            if value is not None and not isinstance(value, str):
                self.wrong(pointer, _NOT_TEXT)
                return None
            return value

        def needed(name: str, default: Any) -> Any:
            value = text(name, default)
            if value is None and name not in custom:
                self.wrong("/customProperties", Words(f"has no property {name}", f"缺少属性 {name}"))
            return value

        level, pointer = custom.get("gradeLevel", (None, ""))
        is_open, open_pointer = custom.get("open", (False, ""))
        if not isinstance(is_open, bool):
            self.wrong(open_pointer, Words("is not true or false", "应为 true 或 false"))
        kind, kind_pointer = custom.get("format", (FormatKind.DATABASE.value, ""))
        return {
            "code": needed("code", table.get("name") if table else None),
            "title": self.text(document, "", "name", needed=True),
            "abstract": self.text(description, "/description", "purpose", needed=True),
            "scenario": self.text(description, "/description", "usage"),
            "department": needed("department", document.get("tenant")),
            "sharing_type": choice("sharingType", SharingType),
            "sharing_conditions": text("sharingConditions"),
            "sharing_channels": tuple(
                self.one_of(value, where, Channel) for value, where in self.listed(custom, "sharingChannels")
            )
            if "sharingChannels" in custom
            else (Channel.TOPIC,),
            "legal_basis": text("legalBasis"),
            "grade": choice("grade", Grade),
            "grade_level": None if level is None else self.whole(level, pointer),
            "data_class": text("dataClass"),
            "update_cycle": choice("updateCycle", UpdateCycle),
            "category": text("category"),
            "format": Format(
                kind=self.one_of(kind, kind_pointer, FormatKind) or FormatKind.DATABASE, detail=text("formatDetail")
            ),
            "openness": Openness(open=is_open is True, conditions=text("opennessConditions")),
            "related": tuple(self.each_text(self.listed(custom, "related"))),
            "provision_channel": text("provisionChannel"),
            "service_item": text("serviceItem"),
            "keywords": tuple(
                self.each_text((tag, f"/tags/{n}") for n, tag in enumerate(self.sequence(document, "", "tags")))
            ),
            "service_level": self.service_level(document),
        }

    def schema(self, document: Mapping[str, Any]) -> tuple[dict[str, Any] | None, str]:
        tables = self.sequence(document, "", "schema")
        if len(tables) != 1:
            detail = Words(
                f"holds {len(tables)} tables: a resource is one", f"含 {len(tables)} 个表，一个资源对应一个表"
            )
            self.wrong("/schema", detail)
        for place, table in enumerate(tables):
            if not isinstance(table, dict):
                self.wrong(f"/schema/{place}", _NOT_MAPPING)
            elif place == 0:
                self.text(table, "/schema/0", "name", needed=True)
                for name in sorted(set(table) - _KNOWN_TABLE):
                    self.left(f"/schema/0/{name}")
                return table, "/schema/0"
        return None, ""

    def items(self, table: Mapping[str, Any], where: str) -> tuple[tuple[Item, ...], tuple[Rule, ...]]:
        items: list[Item] = []
        rules: list[tuple[int, Rule]] = []
        for place, found in enumerate(self.sequence(table, where, "properties")):
            pointer = f"{where}/properties/{place}"
            if not isinstance(found, dict):
                self.wrong(pointer, _NOT_MAPPING)
                continue
            item = self.item(found, pointer)
            items += [item] if item else []
            rules += self.rules(found, pointer, found.get("name"))
        rules += self.rules(table, where, None)
        ordered = [rule for _, rule in sorted(rules, key=lambda placed: placed[0])]
        return tuple(items), tuple(ordered)

    def item(self, found: Mapping[str, Any], pointer: str) -> Item | None:
        before = len(self.defects)
        for unknown in sorted(set(found) - _KNOWN_PROPERTY):
            self.left(f"{pointer}/{unknown}")
        name = self.text(found, pointer, "name", needed=True)
        custom = self.custom(found, pointer, _KNOWN_ITEM_FACTS)
        kind = self.item_type(found, pointer)
        options = self.mapping(found, pointer, "logicalTypeOptions")
        for option in sorted(set(options) - {"maxLength"}):
            self.left(f"{pointer}/logicalTypeOptions/{option}")
        physical = self.text(found, pointer, "physicalType") or ""
        sized = _PRECISION.fullmatch(physical) if kind in (ItemType.STRING, ItemType.DECIMAL) else None

        def number(fact: str, default: Any, where: str) -> int | None:
            value, at = custom.get(fact, (default, where))
            return None if value is None else self.whole(value, at)

        def words(fact: str) -> str | None:
            value, at = custom.get(fact, (None, ""))
            if value is not None and not isinstance(value, str):
                self.wrong(at, _NOT_TEXT)
                return None
            return value

        length = number(
            "length",
            options.get("maxLength", int(sized[1]) if sized else None),
            f"{pointer}/logicalTypeOptions/maxLength",
        )
        scale = number("scale", int(sized[2]) if sized and sized[2] else None, pointer)
        query_key, at = custom.get("queryKey", (False, ""))
        if not isinstance(query_key, bool):
            self.wrong(at, Words("is not true or false", "应为 true 或 false"))
        classification = self.text(found, pointer, "classification")
        sensitivity: Sensitivity | None = Sensitivity.INTERNAL
        if classification is not None:
            sensitivity = self.one_of(classification, f"{pointer}/classification", Sensitivity)
        title = self.text(found, pointer, "businessName")
        column = self.text(found, pointer, "physicalName")
        key, required = self.flag(found, pointer, "primaryKey"), self.flag(found, pointer, "required")
        description = self.text(found, pointer, "description")
        standard, code_list, unit = words("standard"), words("codeList"), words("unit")
        if len(self.defects) > before or name is None or kind is None or sensitivity is None:
            return None
        return Item(
            name=name,
            title=name if title is None else title,
            type=kind,
            column=name if column is None else column,
            key=key,
            nullable=not required,
            sensitivity=sensitivity,
            description=description,
            length=length,
            scale=scale,
            standard=standard,
            code_list=code_list,
            unit=unit,
            query_key=query_key,
        )

    def item_type(self, found: Mapping[str, Any], pointer: str) -> ItemType | None:
        logical = self.text(found, pointer, "logicalType", needed=True)
        if logical == "number":
            # money and IDs are never floats, so a number is a decimal unless its source says double
            physical = found.get("physicalType")
            is_double = isinstance(physical, str) and _DOUBLES.match(physical)
            return ItemType.DOUBLE if is_double else ItemType.DECIMAL
        for kind, name in _LOGICAL.items():
            if name == logical:
                return kind
        if logical is not None:
            detail = Words(f"{logical!r} is no type of an information item", f"信息项没有“{logical}”类型")
            self.wrong(f"{pointer}/logicalType", detail)
        return None

    def rules(self, found: Mapping[str, Any], where: str, item: Any) -> Iterable[tuple[int, Rule]]:
        for place, check in enumerate(self.sequence(found, where, "quality")):
            pointer = f"{where}/quality/{place}"
            if not isinstance(check, dict):
                self.wrong(pointer, _NOT_MAPPING)
                continue
            rule = self.rule(check, pointer, item if isinstance(item, str) else None)
            if rule is None:
                continue
            position, at = self.custom(check, pointer, frozenset({"position"})).get("position", (1_000_000, ""))
            yield self.whole(position, at) or 0, rule

    def rule(self, check: Mapping[str, Any], pointer: str, item: str | None) -> Rule | None:
        meaning = self.own_rule(check, pointer) if check.get("type") == "custom" else self.metric(check, pointer, item)
        if meaning is None:
            return None
        kind, items, parameters = meaning
        severity = self.text(check, pointer, "severity") or Severity.ERROR.value
        name = self.text(check, pointer, "name")
        if severity not in set(Severity):
            self.left(f"{pointer}/severity")
            severity = Severity.ERROR.value
        return Rule(
            id=name if name is not None else "_".join([kind.value, *items]),
            kind=kind,
            items=items,
            parameters=parameters,
            severity=Severity(severity),
            message=self.text(check, pointer, "description") or "",
        )

    def own_rule(self, check: Mapping[str, Any], pointer: str) -> tuple[RuleKind, tuple[str, ...], str] | None:
        if check.get("engine") != ENGINE:
            self.left(pointer)
            return None
        how = self.mapping(check, pointer, "implementation")
        at = f"{pointer}/implementation"
        kind = self.one_of(how.get("kind"), f"{at}/kind", RuleKind)
        items = tuple(self.each_text((one, f"{at}/items/{n}") for n, one in enumerate(self.sequence(how, at, "items"))))
        parameters = how.get("parameters", {})
        if not isinstance(parameters, str | dict):
            self.wrong(f"{at}/parameters", _NOT_MAPPING)
            return None
        text = parameters if isinstance(parameters, str) else _json(parameters)
        return None if kind is None else (kind, items, text)

    def metric(
        self, check: Mapping[str, Any], pointer: str, item: str | None
    ) -> tuple[RuleKind, tuple[str, ...], str] | None:
        arguments = self.mapping(check, pointer, "arguments")
        must_be_none = check.get("mustBe") == 0 and not isinstance(check.get("mustBe"), bool)
        match check.get("metric"):
            case "nullValues" if item is not None and must_be_none and not arguments:
                return RuleKind.REQUIRED, (item,), "{}"
            case "invalidValues" if item is not None and must_be_none and set(arguments) == {"validValues"}:
                values = self.sequence(arguments, f"{pointer}/arguments", "validValues")
                return RuleKind.ENUMERATION, (item,), _json({"values": values})
            case "duplicateValues" if must_be_none and set(arguments) <= {"properties"}:
                named = self.sequence(arguments, f"{pointer}/arguments", "properties") if arguments else []
                items = tuple(
                    self.each_text((one, f"{pointer}/arguments/properties/{n}") for n, one in enumerate(named))
                )
                if arguments or item is not None:
                    return RuleKind.UNIQUE, items if arguments else (item or "",), "{}"
        self.left(pointer)
        return None

    def service_level(self, document: Mapping[str, Any]) -> ServiceLevel:
        found: dict[str, Any] = {}
        for place, promise in enumerate(self.sequence(document, "", "slaProperties")):
            pointer = f"/slaProperties/{place}"
            if not isinstance(promise, dict):
                self.wrong(pointer, _NOT_MAPPING)
                continue
            value = promise.get("value")
            match promise.get("property"), promise.get("unit"):
                case "latency", "s":
                    found["max_delay_seconds"] = self.whole(value, f"{pointer}/value")
                case "retention", "d":
                    found["retention_days"] = self.whole(value, f"{pointer}/value")
                case "availability", "percent" | "%" if isinstance(value, str | int | float):
                    found["availability_percent"] = str(value)
                case _:
                    self.left(pointer)
        return ServiceLevel(**found)

    def custom(self, node: Mapping[str, Any], where: str, known: frozenset[str]) -> dict[str, tuple[Any, str]]:
        """The custom properties by name, each with the pointer to its value."""
        found: dict[str, tuple[Any, str]] = {}
        for place, entry in enumerate(self.sequence(node, where, "customProperties")):
            pointer = f"{where}/customProperties/{place}"
            name = entry.get("property") if isinstance(entry, dict) else None
            if not isinstance(name, str) or "value" not in entry:
                self.wrong(pointer, Words("has no property and value", "缺少 property 或 value"))
            elif name in found:
                self.wrong(pointer, Words(f"{name!r} is there twice", f"“{name}”重复"))
            elif name in known:
                found[name] = entry["value"], f"{pointer}/value"
            else:
                self.left(pointer)
        return found

    def wrong(self, pointer: str, detail: Words) -> None:
        self.defects.append(Defect(pointer, detail))

    def left(self, pointer: str) -> None:
        detail = Words("has no place in a catalogue and was left out", "目录中无对应内容，未导入")
        self.left_out.append(Defect(pointer, detail))

    def text(self, node: Mapping[str, Any], where: str, name: str, *, needed: bool = False) -> str | None:
        value = node.get(name)
        if isinstance(value, str):
            return value
        if value is not None:
            self.wrong(f"{where}/{name}", _NOT_TEXT)
            return None
        if needed:
            self.wrong(f"{where}/{name}", Words("is missing", "缺少此项"))
        return None

    def flag(self, node: Mapping[str, Any], where: str, name: str) -> bool:
        value = node.get(name, False)
        if not isinstance(value, bool):
            self.wrong(f"{where}/{name}", Words("is not true or false", "应为 true 或 false"))
        return value is True

    def whole(self, value: Any, pointer: str) -> int | None:
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31:
            return value
        self.wrong(pointer, Words(f"{value!r} is not a whole number of use here", f"“{value}”不是合适的整数"))
        return None

    def one_of(self, value: Any, pointer: str, kind: type[_E]) -> _E | None:
        for member in kind:
            if member.value == value:
                return member
        allowed = ", ".join(kind)
        self.wrong(pointer, Words(f"{value!r} is none of {allowed}", f"“{value}”不在 {allowed} 之内"))
        return None

    def mapping(self, node: Mapping[str, Any], where: str, name: str) -> dict[str, Any]:
        value = node.get(name)
        if value is not None and not isinstance(value, dict):
            self.wrong(f"{where}/{name}", _NOT_MAPPING)
        return value if isinstance(value, dict) else {}

    def sequence(self, node: Mapping[str, Any], where: str, name: str) -> list[Any]:
        value = node.get(name)
        if value is not None and not isinstance(value, list):
            self.wrong(f"{where}/{name}", Words("is not a list", "应为列表"))
        return value if isinstance(value, list) else []

    def listed(self, custom: Mapping[str, tuple[Any, str]], name: str) -> list[tuple[Any, str]]:
        value, pointer = custom.get(name, ([], ""))
        if not isinstance(value, list):
            self.wrong(pointer, Words("is not a list", "应为列表"))
            return []
        return [(one, f"{pointer}/{place}") for place, one in enumerate(value)]

    def each_text(self, values: Iterable[tuple[Any, str]]) -> Iterable[str]:
        for value, pointer in values:
            if isinstance(value, str):
                yield value
            else:
                self.wrong(pointer, _NOT_TEXT)


_NOT_TEXT = Words("is not text", "应为文本")
_NOT_MAPPING = Words("is not a mapping", "应为键值结构")
_KNOWN = frozenset(
    {"apiVersion", "kind", "id", "name", "version", "status", "tenant", "description", "tags", "schema"}
    | {"slaProperties", "customProperties", "contractCreatedTs"}
)
_KNOWN_TABLE = frozenset({"name", "physicalName", "physicalType", "logicalType", "properties", "quality"})
_KNOWN_PROPERTY = frozenset(
    {"name", "businessName", "physicalName", "physicalType", "description", "primaryKey", "primaryKeyPosition"}
    | {"logicalType", "logicalTypeOptions", "required", "classification", "customProperties", "quality"}
)
_KNOWN_ITEM_FACTS = frozenset({"length", "scale", "standard", "codeList", "unit", "queryKey"})
