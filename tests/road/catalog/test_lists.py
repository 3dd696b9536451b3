"""Importing the lists: all faults at once, in a marked copy; nothing half-imported; one item, one source."""

from __future__ import annotations

import csv
import io
import uuid
from typing import Any

import httpx
import openpyxl
import pytest

from services.catalog.api.imports import EXCEL
from services.catalog.tabular import write_excel
from tests.road.catalog.office import Office, Place

POWERS = ["编码", "权力名称", "权力类型", "设定依据"]
SERVICES = ["编码", "事项名称", "所属权力编码"]
DATA = ["编码", "数据项名称", "所属事项编码", "产生或需要", "例外理由"]


def as_csv(rows: list[list[str]], encoding: str = "utf-8") -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    return out.getvalue().encode(encoding)


def send(office: Office, kind: str, rows: list[list[str]], *, excel: bool = False, **more: Any) -> httpx.Response:
    data = write_excel("清单", [(row, set()) for row in rows]) if excel else as_csv(rows, **more)
    path = f"/departments/{office.slug}/lists/{kind}/imports"
    return office.provider.send(path, data, EXCEL if excel else "text/csv")


def prepared(place: Place) -> tuple[Office, str, str]:
    """An office with a power and a service item; their codes."""
    office = place.office()
    power, service = f"P-{uuid.uuid4().hex[:8]}", f"S-{uuid.uuid4().hex[:8]}"
    office.provider.must(send(office, "powers", [POWERS, [power, "婚姻登记", "行政确认", "婚姻登记条例"]]), 201)
    office.provider.must(send(office, "service-items", [SERVICES, [service, "结婚登记", power]]), 201)
    return office, power, service


def listed(place: Place, office: Office, kind: str) -> dict[str, dict[str, Any]]:
    found = place.operator.must(place.operator.get(f"/lists/{kind}", department=office.slug, limit=500))
    return {one["code"]: one for one in found["items"]}


@pytest.mark.parametrize("excel", [False, True], ids=["csv", "excel"])
def test_a_template_filled_in_is_taken_in(place: Place, excel: bool) -> None:
    office, power, _ = prepared(place)
    template = office.provider.get("/lists/service-items/template", format="xlsx" if excel else "csv")
    assert template.status_code == 200
    if excel:
        book = openpyxl.load_workbook(io.BytesIO(template.content))
        sheet = book.worksheets[0]
        sheet.append([f"{power}-1", "离婚登记", power])
        out = io.BytesIO()
        book.save(out)
        data = out.getvalue()
    else:
        data = template.content + as_csv([[f"{power}-1", "离婚登记", power]])
    path = f"/departments/{office.slug}/lists/service-items/imports"
    done = office.provider.must(office.provider.send(path, data, EXCEL if excel else "text/csv"), 201)
    assert (done["rows"], done["added"], done["changed"]) == (1, 1, 0)
    assert listed(place, office, "service-items")[f"{power}-1"]["name"] == "离婚登记"
    again = office.provider.must(office.provider.send(path, data, EXCEL if excel else "text/csv"), 201)
    assert (again["added"], again["changed"]) == (0, 0)


@pytest.mark.parametrize("excel", [False, True], ids=["csv", "excel"])
def test_all_faults_are_told_at_once_and_nothing_is_taken_in(place: Place, excel: bool) -> None:
    office, _, service = prepared(place)
    rows = [
        DATA,
        [f"{service}-1", f"当事人姓名 {service}", service, "产生", ""],
        [f"{service}-1", f"登记日期 {service}", service, "产生", ""],
        ["", "登记机关", "没有的事项", "也许", ""],
        [f"{service}-4", '=HYPERLINK("http://x")', service, "需要", "x" * 2_001],
    ]
    refused = send(office, "data-items", rows, excel=excel)
    assert refused.status_code == 422
    problem = refused.json()
    assert {error["pointer"] for error in problem["errors"]} == {
        "/3/code", "/4/code", "/4/service_item", "/4/use", "/5/exception",
    }  # fmt: skip
    assert listed(place, office, "data-items") == {}
    marked = office.provider.request("GET", problem["marked_copy"].replace("/api/catalog/v1", ""))
    assert marked.status_code == 200
    if excel:
        sheet = openpyxl.load_workbook(io.BytesIO(marked.content)).worksheets[0]
        table = [[cell.value or "" for cell in row] for row in sheet.iter_rows()]
        assert sheet["D4"].fill.fgColor.rgb == "FFFFC7CE" and sheet["D2"].fill.fill_type is None
        assert sheet["B5"].data_type == "s"
    else:
        table = list(csv.reader(io.StringIO(marked.content.decode("utf-8-sig"))))
        assert table[4][1].startswith("'=")
    assert table[0][-1] == "错误" and table[1][-1] == ""
    assert table[2][-1] == "编码：与第 2 行重复" and table[3][-1].count("；") == 2
    # the marked copy, mended, is a file to import
    table[2][0], table[3][:4], table[4][4] = f"{service}-2", [f"{service}-3", "登记机关", service, "需要"], ""
    office.provider.must(send(office, "data-items", table, excel=excel), 201)
    assert listed(place, office, "data-items")[f"{service}-4"]["name"] == '=HYPERLINK("http://x")'


def test_one_item_has_one_source_unless_an_exception_is_on_record(place: Place) -> None:
    first, _, service = prepared(place)
    second, _, other = prepared(place)
    name = f"户籍 地址（{uuid.uuid4().hex[:6]}）"
    first.provider.must(send(first, "data-items", [DATA, [f"{service}-1", name, service, "产生", ""]]), 201)
    same = name.replace(" ", "").replace("（", "(").replace("）", ")")
    refused = send(second, "data-items", [DATA, [f"{other}-1", same, other, "产生", ""]])
    assert refused.status_code == 422 and first.slug in refused.json()["errors"][0]["detail"]
    second.provider.must(send(second, "data-items", [DATA, [f"{other}-1", same, other, "需要", ""]]), 201)
    excepted = [DATA, [f"{other}-1", same, other, "产生", "现场采集，作为校核依据"]]
    second.provider.must(send(second, "data-items", excepted), 201)
    kept = listed(place, second, "data-items")[f"{other}-1"]
    assert kept["exception"] == "现场采集，作为校核依据" and kept["exception_by"].startswith("provider ")


def test_gbk_is_read_and_a_mixed_file_is_refused_with_its_line(place: Place) -> None:
    office, power, _ = prepared(place)
    rows = [SERVICES, [f"{power}-g", "补领结婚证", power]]
    office.provider.must(send(office, "service-items", rows, encoding="gbk"), 201)
    assert listed(place, office, "service-items")[f"{power}-g"]["name"] == "补领结婚证"
    mixed = as_csv(rows) + as_csv([[f"{power}-h", "撤销登记", power]], "gbk")
    path = f"/departments/{office.slug}/lists/service-items/imports"
    refused = office.provider.send(path, mixed)
    assert refused.status_code == 422 and refused.json()["errors"][0]["pointer"] == "/3"
    assert f"{power}-h" not in listed(place, office, "service-items")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x03\x04 not a workbook",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        b"\x00" * 100,
        b'"never closed',
        b"\xff\xfe,",
    ],
    ids=["empty", "broken zip", "old excel", "zeros", "open quote", "no encoding"],
)
def test_what_is_no_list_is_refused_in_words(office: Office, data: bytes) -> None:
    answer = office.provider.send(f"/departments/{office.slug}/lists/powers/imports", data)
    assert answer.status_code == 422, answer.text
    assert answer.json()["detail"]


def test_a_formula_in_a_workbook_is_refused(office: Office) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (POWERS, ["P-1", "=1+1", "行政许可", "依据"]):
        sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    answer = office.provider.send(f"/departments/{office.slug}/lists/powers/imports", out.getvalue(), EXCEL)
    assert answer.status_code == 422 and answer.json()["errors"][0]["pointer"] == "/2"


def test_a_file_that_is_too_large_is_not_read(office: Office) -> None:
    path = f"/departments/{office.slug}/lists/powers/imports"
    assert office.provider.send(path, b"x" * (11 * 1024**2)).status_code == 413


def test_a_resource_names_a_service_item_of_its_own_department(place: Place) -> None:
    office, _, service = prepared(place)
    other = place.office()
    code = place.published(office, service_item=service)
    assert place.operator.get(f"/resources/{code}").json()["published"]["service_item"] == service
    form = {
        **place.operator.get(f"/resources/{code}").json()["published"],
        "code": "x" + code,
        "department": other.slug,
    }
    other.provider.must(other.provider.post("/resources", form), 201)
    assert other.provider.step("x" + code, "submit").json()["errors"][0]["pointer"] == "/service_item"
