"""The forms that the catalogue's API takes and gives, as far as several routers share them."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from services.catalog.domain import resource as domain
from services.catalog.domain.lifecycle import Action, State
from services.core.forms import Code, Json, Name, Note, Plain, Slug, Strict, Text

CategoryCode = Annotated[str, Field(pattern=r"^[0-9]{1,20}$", examples=["101001"])]
DivisionCode = Annotated[str, Field(pattern=r"^[0-9]{6}$", examples=["320612"])]

Percent = Annotated[str, Field(pattern=r"^(100|[0-9]{1,2})(\.[0-9]{1,4})?$", examples=["99.9"])]


class ItemForm(Strict):
    """An information item (信息项). Without `column` it is the column of the item's name."""

    name: Slug
    title: Name
    type: domain.ItemType
    column: Annotated[str, Field(max_length=200), Plain] = ""
    key: bool = False
    nullable: bool = True
    sensitivity: domain.Sensitivity = domain.Sensitivity.INTERNAL
    description: Note | None = None
    length: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    scale: Annotated[int, Field(ge=0, le=38)] | None = None
    standard: Name | None = None
    code_list: Name | None = None
    unit: Name | None = None
    query_key: bool = False


class RuleForm(Strict):
    """A quality rule; what `parameters` hold depends on the kind (services/core/quality.py)."""

    id: Slug
    kind: domain.RuleKind
    items: Annotated[list[Slug], Field(min_length=1, max_length=20)]
    parameters: Annotated[dict[str, Any], Field(examples=[{"scheme": "citizen_id"}]), Json] = {}
    severity: domain.Severity = domain.Severity.ERROR
    message: Note = ""


class ServiceLevelForm(Strict):
    max_delay_seconds: Annotated[int, Field(ge=1, le=31_622_400)] | None = None
    availability_percent: Percent | None = None
    retention_days: Annotated[int, Field(ge=1, le=36_600)] | None = None


class FormatForm(Strict):
    kind: domain.FormatKind = domain.FormatKind.DATABASE
    detail: Name | None = None


class OpennessForm(Strict):
    open: bool = False
    conditions: Note | None = None


_EXAMPLE: dict[str, Any] = {
    "code": "population",
    "title": "人口基本信息",
    "abstract": "户籍人口的基本登记信息，来自人口信息管理系统。",
    "department": "public_security",
    "category": "101",
    "sharing_type": "conditional",
    "sharing_conditions": "用于本部门法定职责内的业务办理，按最小必要授权。",
    "sharing_channels": ["topic", "api"],
    "grade": "general",
    "update_cycle": "real_time",
    "scenario": "办理社会保障、婚姻登记等事项时核验身份",
    "items": [
        {"name": "id_number", "title": "公民身份号码", "type": "string", "length": 18, "key": True, "nullable": False,
         "sensitivity": "personal", "query_key": True},
        {"name": "name", "title": "姓名", "type": "string", "sensitivity": "personal"},
        {"name": "birth_date", "title": "出生日期", "type": "date", "sensitivity": "personal"},
    ],
    "rules": [
        {"id": "id_number_valid", "kind": "check_digit", "items": ["id_number"],
         "parameters": {"scheme": "citizen_id"}, "severity": "error"}
    ],
}  # fmt: skip


class TermsForm(Strict):
    """What a resource is and on what terms it is shared (the 13 core elements of 编制指南 2017, and more)."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    code: Slug
    title: Name
    abstract: Text
    department: Slug
    sharing_type: domain.SharingType
    sharing_conditions: Note | None = None
    legal_basis: Note | None = None
    grade: domain.Grade
    classified: bool = False
    update_cycle: domain.UpdateCycle
    items: Annotated[list[ItemForm], Field(max_length=2_000)]
    category: CategoryCode | None = None
    format: FormatForm = FormatForm()
    sharing_channels: Annotated[list[domain.Channel], Field(max_length=5)] = [domain.Channel.TOPIC]
    openness: OpennessForm = OpennessForm()
    related: Annotated[list[Slug], Field(max_length=200)] = []
    scenario: Note | None = None
    provision_channel: Name | None = None
    service_item: Code | None = None
    grade_level: Annotated[int, Field(ge=1, le=9)] | None = None
    data_class: Name | None = None
    keywords: Annotated[list[Name], Field(max_length=50)] = []
    rules: Annotated[list[RuleForm], Field(max_length=500)] = []
    service_level: ServiceLevelForm = ServiceLevelForm()

    def terms(self) -> domain.Terms:
        """What the form says."""
        record = self.model_dump(mode="json")
        for item in record["items"]:
            item["column"] = item["column"] or item["name"]
        for rule in record["rules"]:
            rule["parameters"] = json.dumps(rule["parameters"], ensure_ascii=False, sort_keys=True)
        return domain.terms_of(record)


class MountOut(Strict):
    kind: domain.MountKind = domain.MountKind.TABLE
    system: str
    schema_name: Annotated[str, Field(alias="schema")] = ""
    table: str = ""
    topic: str = ""
    connector: str = ""
    endpoint: str | None = None
    inputs: Annotated[list[str], Field(description="Resources that a data product is computed from.")] = []
    halted: str | None = None
    halted_items: list[str] = []


class TaskOut(Strict):
    """Work that is open, and when its clock runs out (working days of the place)."""

    resource: str
    department: str
    clock: str
    started_on: date
    due_on: date
    provisional: bool
    overdue: bool
    assignee: str | None


class ResourceOut(Strict):
    """A resource as its viewer may know it: what is written, and what may be done, is for those who work on it."""

    code: str
    catalogue_code: str
    department: str
    state: State
    version: int
    contract_version: str | None
    published: TermsForm | None
    draft: TermsForm | None
    submitted_by: Annotated[str | None, Field(description="Who submitted the draft, and so does not review it.")]
    mount: MountOut | None
    first_published_at: datetime | None
    published_at: datetime | None
    regraded_at: datetime | None
    updated_at: datetime
    actions: list[Action]
    tasks: list[TaskOut]


def form_of(kept: dict[str, Any]) -> TermsForm:
    """Kept terms as the API shows them."""
    rules = [{**rule, "parameters": json.loads(rule["parameters"])} for rule in kept.get("rules", ())]
    return TermsForm.model_validate({**kept, "rules": rules})
