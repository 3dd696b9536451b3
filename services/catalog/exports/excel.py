"""The catalogue as a workbook in the form of the 13 core elements (编制指南 2017), one row an information item.

Two more sheets hold what this project adds. Every cell is text and stays text, whatever it begins with: nothing that a
department wrote is ever run as a formula. A file of the same content has the same bytes: no clock and no compression,
which differs between versions of zlib, goes into it.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from openpyxl import Workbook
from openpyxl.utils import get_column_letter

from services.catalog.domain.resource import Item, PublishedResource, SharingType
from services.catalog.exports.labels import CHANNELS, CYCLES, FORMATS, GRADES, SENSITIVITIES, SHARING
from services.catalog.exports.place import Place, rfc3339
from services.core.sheets import EPOCH, MAX_ROWS, Row, add_sheet, cell_text, head_cell, text_cell, timeless
from services.core.words import Words

_LEVELS = 4


class SheetFull(Exception):
    """More rows than a sheet of Excel holds (1,048,576); `words` say what to do."""

    def __init__(self, words: Words) -> None:
        super().__init__(words)
        self.words = words


@dataclass(frozen=True, slots=True)
class _Group:
    """An element of the form and its columns; an element without parts is one column over both rows of the head."""

    name: str
    parts: Sequence[str] = ()


CORE = (
    _Group("信息资源分类", ("类", "项", "目", "细目")),
    _Group("信息资源名称"),
    _Group("信息资源代码"),
    _Group("信息资源提供方"),
    _Group("信息资源提供方代码"),
    _Group("信息资源摘要"),
    _Group("信息资源格式", ("格式分类", "格式类型")),
    _Group("信息项信息", ("信息项名称", "数据类型")),
    _Group("共享属性", ("共享类型", "共享条件", "共享方式")),
    _Group("开放属性", ("是否向社会开放", "开放条件")),
    _Group("更新周期"),
    _Group("发布日期"),
    _Group("关联资源代码"),
)
_ADDED = (
    "信息资源代码", "资源标识", "信息资源名称", "应用场景", "提供渠道", "事项代码", "事项名称", "权力代码", "权力名称",
    "数据分级", "分级细化", "数据类别", "法律法规依据", "关键词", "行政区划", "版本", "契约版本", "首次发布时间",
    "本次发布时间",
)  # fmt: skip
_ITEMS = (
    "信息资源代码", "资源标识", "信息项标识", "信息项名称", "数据类型", "长度", "小数位数", "可空", "主键", "查询键",
    "敏感级别", "数据元标准", "代码集", "计量单位", "说明",
)  # fmt: skip


def workbook(place: Place, resources: Iterable[PublishedResource]) -> bytes:
    """The catalogue as an .xlsx file; raises SheetFull."""
    published = sorted(resources, key=lambda resource: resource.code)
    if sum(max(1, len(resource.items)) for resource in published) > MAX_ROWS - 2:
        raise SheetFull(
            Words(
                f"more information items than a sheet's {MAX_ROWS} rows: export by department",
                f"信息项超过工作表的 {MAX_ROWS} 行，请按部门分别导出",
            )
        )
    names = {resource.code: resource.catalogue_code or resource.code for resource in published}
    book = Workbook(write_only=True)
    book.properties.creator = cell_text(place.publisher)
    book.properties.title = cell_text(place.title)
    book.properties.created = EPOCH
    _core_sheet(book, (row for resource in published for row in _core_rows(resource, names)))
    add_sheet(book, "扩展要素", _ADDED, (_added_row(resource) for resource in published))
    add_sheet(book, "信息项", _ITEMS, (_item_row(resource, item) for resource in published for item in resource.items))
    out = io.BytesIO()
    book.save(out)
    return timeless(out.getvalue())


def _core_rows(resource: PublishedResource, names: dict[str, str]) -> Iterator[Row]:
    path = [step.name for step in resource.category]
    # a tree that is deeper than the form ends in its last column
    path = [*path[: _LEVELS - 1], "/".join(path[_LEVELS - 1 :])] if len(path) > _LEVELS else path
    before: list[str | None] = [
        *path, *[None] * (_LEVELS - len(path)),
        resource.title,
        names[resource.code],
        resource.department_name,
        resource.department_uscc,
        resource.abstract,
        FORMATS[resource.format.kind],
        resource.format.detail,
    ]  # fmt: skip
    after: list[str | None] = [
        SHARING[resource.sharing_type],
        # what is not shared names its law where the others name their conditions (编制指南 2017, 共享条件)
        resource.legal_basis if resource.sharing_type is SharingType.NOT_SHARED else resource.sharing_conditions,
        "、".join(CHANNELS[channel] for channel in resource.sharing_channels),
        "是" if resource.openness.open else "否",
        resource.openness.conditions,
        CYCLES[resource.update_cycle],
        rfc3339(resource.published_at)[:10],
        "；".join(names.get(code, code) for code in resource.related),
    ]
    for item in resource.items:
        yield [*before, item.title, _item_type(item), *after]
    if not resource.items:
        yield [*before, None, None, *after]


def _item_type(item: Item) -> str:
    """The type as the form writes it: its letter, and the length where it is known."""
    if item.length is None:
        return item.type.letter
    size = str(item.length) if item.scale is None else f"{item.length},{item.scale}"
    return f"{item.type.letter}({size})"


def _added_row(resource: PublishedResource) -> Row:
    why = resource.service_item
    return [
        resource.catalogue_code or resource.code,
        resource.code,
        resource.title,
        resource.scenario,
        resource.provision_channel,
        why.code if why else None,
        why.name if why else None,
        why.power_code if why else None,
        why.power_name if why else None,
        GRADES[resource.grade],
        None if resource.grade_level is None else str(resource.grade_level),
        resource.data_class,
        resource.legal_basis,
        "；".join(resource.keywords),
        resource.division,
        str(resource.version),
        resource.contract_version,
        rfc3339(resource.first_published_at),
        rfc3339(resource.published_at),
    ]


def _item_row(resource: PublishedResource, item: Item) -> Row:
    return [
        resource.catalogue_code or resource.code,
        resource.code,
        item.name,
        item.title,
        item.type.letter,
        None if item.length is None else str(item.length),
        None if item.scale is None else str(item.scale),
        "是" if item.nullable else "否",
        "是" if item.key else "否",
        "是" if item.query_key else "否",
        SENSITIVITIES[item.sensitivity],
        item.standard,
        item.code_list,
        item.unit,
        item.description,
    ]


def _core_sheet(book: Workbook, rows: Iterable[Row]) -> None:
    sheet = book.create_sheet("政务数据资源目录")
    above: list[str | None] = []
    below: list[str | None] = []
    merged = []
    for number, group in enumerate(CORE, 1):
        first = get_column_letter(len(above) + 1)
        above += [f"{number}. {group.name}", *[None] * (len(group.parts) - 1)]
        below += group.parts or [None]
        last = get_column_letter(len(above))
        merged.append(f"{first}1:{last}1" if group.parts else f"{first}1:{first}2")
    for column in range(1, len(above) + 1):
        sheet.column_dimensions[get_column_letter(column)].width = 18
    sheet.freeze_panes = "A3"
    for span in merged:
        sheet.merged_cells.add(span)
    for head in (above, below):
        sheet.append([head_cell(sheet, text) for text in head])
    for row in rows:
        sheet.append([text_cell(sheet, text) for text in row])
