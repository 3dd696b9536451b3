"""A providing department's first ten minutes: a resource is written, published by another person, and mounted."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from cli.demo.stage import publish
from tests.browser.conftest import Seat, Take, faults_of, person_of
from tests.road.catalog.office import item, key_item
from tests.road.console.conftest import OWN_PASSWORD, Reception, must
from tests.road.town import OWNER, Table, Town, eventually, resource_of

_CATALOG = "/api/catalog/v1"
_CONNECTOR_MS = 90_000


def _signed_in(window: Seat, login: str, password: str, path: str) -> Page:
    window.open(path)
    window.sign_in(login, password)
    expect(window.page.get_by_role("heading", level=1)).to_be_visible()
    return window.page


def _speaking(window: Seat, language: str) -> Seat:
    window.open("/")
    window.page.evaluate("(language) => localStorage.setItem('language', language)", language)
    return window


def _field(page: Page, label: str) -> Locator:
    return page.get_by_label(label, exact=True)


def _said_at(field: Locator) -> Locator:
    """What is said against a field, where the field itself says that it is."""
    said = f"{field.get_attribute('id')}-said"
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_attribute("aria-describedby", said)
    return field.page.locator(f'[id="{said}"]')


def _pick(page: Page, table: str) -> None:
    """Choose a table of the department's own system, be there others or not."""
    system = page.get_by_role("combobox", name="信息系统")
    system.click()
    system.fill(f"({OWNER.database})")
    system.press("Enter")
    expect(page.get_by_role("table", name="可选择的表")).to_be_visible()
    narrow = page.get_by_label("在表内筛选: 可选择的表")
    if narrow.is_visible():
        narrow.fill(table)
    page.get_by_role("button", name=f"选择 population.{table}").click()


def test_a_department_publishes_and_mounts_its_data(seat: Take, reception: Reception, town: Town, checker: str) -> None:
    code = f"t{uuid.uuid4().hex[:10]}"
    title = f"许可证登记信息 {code}"
    source = town.server.connect(OWNER)
    source.execute(
        f"create table population.{code} (licence_no text primary key, holder text, issued_on date);"
        f"alter table population.{code} replica identity full;"
        f"comment on column population.{code}.licence_no is '许可证编号';"
        f"comment on column population.{code}.holder is '持证人：登记时的姓名';"
        f"insert into population.{code} values ('A-1', '张伟', '2026-01-31'), ('A-2', null, null)".encode()
    )
    window = seat()
    page = _signed_in(window, *person_of(reception, "provider", department=OWNER.slug), "/providing")

    page.get_by_role("button", name="新建资源").click()
    _field(page, "资源名称").fill(title)
    _field(page, "摘要").fill("本部门签发的许可证。")
    _field(page, "资源标识").fill("Licence 1")
    expect(_said_at(_field(page, "资源标识"))).to_contain_text("小写字母")
    _field(page, "资源标识").fill(code)
    expect(_field(page, "资源标识")).not_to_have_attribute("aria-invalid", "true")
    page.get_by_role("button", name="保存草稿").click()
    expect(page).to_have_url(re.compile(rf"/catalogue/{code}/edit$"))

    # the exchange's own word, at its field
    conditions = _field(page, "共享条件")
    expect(_said_at(conditions)).to_contain_text("有条件共享须写明共享条件")
    window.shot("providing-mistake")
    conditions.fill("用于法定职责内的核验")
    expect(conditions).not_to_have_attribute("aria-invalid", "true")

    page.get_by_role("button", name="从数据表带入").click()
    _pick(page, code)
    expect(page.get_by_label("许可证编号: 标识", exact=True)).to_have_value("licence_no")
    expect(page.get_by_label("许可证编号: 主键", exact=True)).to_be_checked()
    expect(page.get_by_label("持证人: 类型", exact=True)).to_have_value("string")
    page.get_by_label("持证人: 敏感程度", exact=True).select_option("personal")
    page.get_by_label("issued_on: 名称", exact=True).fill("发证日期")
    assert faults_of(page, checker) == []
    window.shot("providing-editor")

    page.get_by_role("link", name="资源目录").first.click()
    expect(page.get_by_role("dialog")).to_contain_text("离开而不保存")
    page.get_by_role("button", name="留在此页").click()
    expect(page.get_by_label("发证日期: 标识", exact=True)).to_have_value("issued_on")

    page.get_by_role("button", name="核对并送审").click()
    expect(page.get_by_role("dialog")).to_contain_text("没有需要完善的内容")
    window.shot("providing-check")
    page.get_by_role("button", name="提交审核").click()
    expect(page).to_have_url(re.compile(rf"/catalogue/{code}$"))
    expect(page.locator("main")).to_contain_text("审核中")

    reviewer = seat()
    desk = _signed_in(reviewer, *person_of(reception, "administrator"), "/reviews")
    desk.get_by_role("link", name=title).click()
    expect(desk.get_by_role("main")).to_contain_text("发证日期")
    assert faults_of(desk, checker) == []
    reviewer.shot("reviewing")
    desk.get_by_role("button", name="通过并发布").click()
    expect(desk).to_have_url(re.compile("/reviews$"))

    expect(page.locator("main")).to_contain_text("主键")
    page.get_by_role("button", name="挂接数据").click()
    _pick(page, code)
    expect(page.get_by_label("持证人: 来源字段", exact=True)).to_have_value("holder")
    expect(page.get_by_role("status").filter(has_text="可以挂接")).to_be_visible()
    sample = page.get_by_role("table", name="样例数据")
    expect(sample).to_contain_text("A-1")
    expect(sample).not_to_contain_text("张伟")
    assert faults_of(page, checker) == []
    window.shot("mounting")
    page.get_by_role("button", name="挂接", exact=True).click()
    expect(page.get_by_text("挂接已建立")).to_be_visible(timeout=_CONNECTOR_MS)
    expect(page.get_by_role("region", name="挂接状况")).to_contain_text("正常")
    window.shot("mounted")
    page.get_by_role("link", name="查看资源页").click()
    expect(page.locator("main")).to_contain_text("已挂接 · 数据库表")

    page.get_by_role("button", name="更多操作").click()
    page.get_by_role("menuitem", name="解除挂接").click()
    page.get_by_role("dialog").get_by_role("button", name="解除挂接").click()
    expect(page.get_by_role("button", name="挂接数据")).to_be_visible(timeout=_CONNECTOR_MS)


def test_what_somebody_else_has_written_is_not_lost_and_nobody_reviews_their_own(
    seat: Take, reception: Reception, town: Town
) -> None:
    person = reception.person("administrator")
    form = resource_of(f"t{uuid.uuid4().hex[:10]}", [key_item(), item("name")])
    path = f"{_CATALOG}/resources/{form['code']}"
    must(person.request("POST", f"{_CATALOG}/resources", json=form), 201)
    window = seat()
    page = _signed_in(window, str(person.session()["me"]["login"]), OWN_PASSWORD, f"/catalogue/{form['code']}/edit")
    _field(page, "摘要").fill("我写的摘要。")

    def change(method: str, where: str, body: dict[str, Any]) -> None:
        tag = person.get(path).headers["ETag"]
        must(person.request(method, path + where, json=body, headers={"If-Match": tag}))

    change("PUT", "/draft", {**form, "title": "别人改的名称"})
    page.get_by_role("button", name="保存草稿").click()
    conflict = page.get_by_role("alert").filter(has_text="已被他人修改")
    expect(conflict).to_contain_text("资源名称")
    window.shot("providing-conflict")
    conflict.get_by_role("button", name="用我的内容覆盖").click()
    expect(page.get_by_text("已全部保存")).to_be_visible()
    assert person.get(path).json()["draft"]["abstract"] == "我写的摘要。"

    change("POST", "/steps", {"action": "submit"})
    window.open(f"/reviews/{form['code']}")
    expect(page.get_by_text("须由他人审核")).to_be_visible()
    expect(page.get_by_role("button", name="通过并发布")).to_have_count(0)


NUMBERS = [
    {"id": "id_number", "kind": "check_digit", "items": ["number"], "parameters": {"scheme": "citizen_id"},
     "severity": "error"},
]  # fmt: skip
TRIED = {
    "zh-CN": ("用样例行试算规则", "样例行", "试算", "2 行中有 1 行符合全部规则", "不符合规则的样例行"),
    "en": ("Try the rules on sample rows", "Sample rows", "Try", "1 of 2 rows keep", "Sample rows that break a rule"),
}  # fmt: skip


@pytest.mark.parametrize("language", TRIED)
def test_rules_are_tried_on_sample_rows_before_they_hold(
    seat: Take, reception: Reception, town: Town, checker: str, language: str
) -> None:
    title, rows, act, good, broken = TRIED[language]
    form = resource_of(f"t{uuid.uuid4().hex[:10]}", [key_item(), item("number")], rules=NUMBERS)
    person = reception.person("provider", department=OWNER.slug)
    must(person.request("POST", f"{_CATALOG}/resources", json=form), 201)
    window = _speaking(seat(), language)
    page = _signed_in(window, str(person.session()["me"]["login"]), OWN_PASSWORD, f"/catalogue/{form['code']}/edit")
    page.locator("summary", has_text=title).click()
    expect(_field(page, rows)).to_have_value("id\tnumber\n")
    expect(page.get_by_role("button", name=act, exact=True)).to_be_disabled()
    _field(page, rows).fill("id,项 number\n1,11010519491231002X\n2,110105194912310021\n")
    page.get_by_role("button", name=act, exact=True).click()
    expect(page.get_by_role("status").filter(has_text=good)).to_be_visible()
    told = page.get_by_role("table", name=broken)
    expect(told.get_by_role("row").nth(1)).to_contain_text(re.compile(r"2.*id_number.*项 number"))
    assert faults_of(page, checker) == []
    window.shot(f"rules-tried-{language}")


GRADES = {
    "zh-CN": ("更多操作", "调整数据分级", "重要数据", "以下 1 项授权立即停止交付", "立即停止，重新审批"),
    "en": ("More", "Change the grade", "important", "decided anew by it: 1", "stops at once, decided anew"),
}  # fmt: skip
RENEWED = {
    "zh-CN": ("写入凭据", "重新生成", "原口令立即失效"),
    "en": ("Credentials to write", "New credentials", "ends at once"),
}


def test_who_provides_raises_a_grade_knowing_what_ends_and_gives_a_writer_new_credentials(
    seat: Take, reception: Reception, town: Town, checker: str
) -> None:
    code, ask = f"t{uuid.uuid4().hex[:10]}", town.exchange.ask
    terms = {"sharing_type": "conditional", "sharing_conditions": "用于法定职责内的核验"}
    ask("POST", "catalog", "/resources", resource_of(code, [key_item(), item("name")], **terms))
    publish(town.exchange, code)
    mount = {"kind": "topic", "system": OWNER.database}
    first = ask("PUT", "catalog", f"/resources/{code}/mount", mount)["credentials"]["password"]
    table = Table(town.exchange, town.server.connect(OWNER), code, "", f"cdc.{OWNER.database}.{code}")
    grant = town.live_grant(table, ["id"], "market_supervision", purpose="联合监管")
    login, password = person_of(reception, "administrator")
    for language in GRADES:
        window = _speaking(seat(), language)
        page = _signed_in(window, login, password, f"/catalogue/{code}?part=lineage")

        title, renew, sure = RENEWED[language]
        writing = page.get_by_role("region", name=title)
        expect(writing).not_to_contain_text("password=")
        writing.get_by_role("button", name=renew).click()
        asked = page.get_by_role("tooltip").filter(has_text=sure)
        asked.get_by_role("button", name=renew).click()
        expect(writing).to_contain_text(re.compile(r"password=\S{8,}"))
        expect(writing).not_to_contain_text(first)
        expect(asked).to_be_hidden()
        assert faults_of(page, checker) == []
        window.shot(f"writer-{language}")
        page.reload()
        expect(writing).to_be_visible()
        expect(writing).not_to_contain_text("password=")

        more, change, important, ends, anew = GRADES[language]
        page.get_by_role("button", name=more).click()
        page.get_by_role("menuitem", name=change).click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("radio", name=important).check()
        expect(dialog).to_contain_text(ends)
        expect(dialog.get_by_role("row").nth(1)).to_contain_text(re.compile(f"联合监管.*{anew}"))
        expect(dialog.locator(".ant-btn-primary")).to_be_disabled()
        assert faults_of(page, checker) == []
        window.shot(f"grade-{language}")
        assert ask("GET", "demand", f"/grants/{grant['id']}")["state"] == "active"
    dialog.locator("#grade-reason").fill("汇聚后影响重大")
    dialog.locator(".ant-btn-primary").click()
    expect(page.locator("main .hit-meta").first).to_contain_text("important")
    eventually(lambda: ask("GET", "demand", f"/grants/{grant['id']}")["state"], lambda it: it == "reopened", "its end")
