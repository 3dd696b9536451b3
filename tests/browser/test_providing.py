"""A providing department's first ten minutes: a resource is written, published by another person, and mounted."""

from __future__ import annotations

import re
import uuid
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Seat, Take, faults_of, person_of
from tests.road.catalog.office import item, key_item
from tests.road.console.conftest import OWN_PASSWORD, Reception, must
from tests.road.town import OWNER, Town, resource_of

_CATALOG = "/api/catalog/v1"
_CONNECTOR_MS = 90_000


def _signed_in(window: Seat, login: str, password: str, path: str) -> Page:
    window.open(path)
    window.sign_in(login, password)
    expect(window.page.get_by_role("heading", level=1)).to_be_visible()
    return window.page


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
