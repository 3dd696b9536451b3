"""An operator's first ten minutes: something is really wrong, an alert says so, and it is brought to its end."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

from playwright.sync_api import Error, Page, expect

from tests.browser.conftest import Seat, Take, faults_of, open_page, person_of
from tests.road.console.conftest import Reception
from tests.road.town import OWNER, Reader, Table, Town, eventually

RULE = {"id": "region", "kind": "enumeration", "items": ["region"], "severity": "error"}


def test_an_operator_brings_an_alert_to_its_end(seat: Take, reception: Reception, town: Town, checker: str) -> None:
    rules = [{**RULE, "parameters": {"values": ["320612"]}}]
    table = town.table({"id": "text", "region": "text"}, rules=rules)
    grant = town.live_grant(table, ["id", "region"])
    reader = town.reader(grant)
    table.run("insert into {t} values ('a', '320612'), ('b', '870871')")

    window = _signed_in(seat, reception, "ops")
    page = window.page
    window.open("/running/alerts")
    alert = page.get_by_role("row").filter(has_text=table.code)
    expect(alert).to_contain_text("待处理", timeout=30_000)
    alert.get_by_role("link").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("数据待更正")
    expect(page.get_by_label("现在的情况")).to_contain_text("region")
    page.get_by_role("button", name="接手处理").click()
    expect(page.locator("main")).to_contain_text("处理中")
    assert faults_of(page, checker) == []
    window.shot("running-alert")

    _open_entry(page)
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("放行须由提供部门")
    dialog.get_by_role("button", name="重试").click()
    expect(dialog).to_contain_text("重试后仍不符合规则", timeout=15_000)
    assert "870871" not in page.content(), "what was set aside is shown to nobody"
    assert faults_of(page, checker) == []
    window.shot("running-entry")
    page.keyboard.press("Escape")

    _revise(town, table, {"values": ["320612", "870871"]})
    _open_entry(page)

    def tried() -> str:
        button = dialog.get_by_role("button", name="重试")
        # once it is delivered the button goes, maybe while it is looked for
        with suppress(Error):
            button.click(timeout=2_000)
        return dialog.inner_text()

    eventually(tried, lambda text: "重试后交付" in text, "the rule of today lets it pass")
    reader.await_state({"a": {"id": "a", "region": "320612"}, "b": {"id": "b", "region": "870871"}})
    expect(page.locator("main")).to_contain_text("监测服务自动关闭", timeout=30_000)
    expect(page.locator("main")).to_contain_text("已关闭")
    # who reads what came of it goes on reading, though the watch has closed the alert meanwhile
    expect(dialog).to_contain_text("重试后交付")
    page.keyboard.press("Escape")
    _replay(seat, reception, grant, reader, checker)
    _compare(window, table)


def _signed_in(seat: Take, reception: Reception, *roles: str, department: str | None = None) -> Seat:
    login, password = person_of(reception, *roles, department=department)
    window = seat()
    window.open("/")
    window.sign_in(login, password)
    expect(window.page.get_by_role("navigation").first).to_be_visible()
    return window


def _open_entry(page: Page) -> None:
    page.get_by_label("现在的情况").get_by_role("button", name=re.compile("查看 隔离记录")).click()
    expect(page.get_by_role("dialog")).to_contain_text("主键摘要")


def _revise(town: Town, table: Table, parameters: dict[str, Any]) -> None:
    """Another version of the contract, whose rule lets pass what waits."""
    town.exchange.ask("POST", "catalog", f"/resources/{table.code}/steps", {"action": "revise"})
    draft = town.exchange.ask("GET", "catalog", f"/resources/{table.code}")["draft"]
    rules = [{**RULE, "parameters": parameters}]
    town.exchange.ask("PUT", "catalog", f"/resources/{table.code}/draft", {**draft, "rules": rules})
    for action in ("submit", "approve"):
        town.exchange.ask("POST", "catalog", f"/resources/{table.code}/steps", {"action": action})


def _replay(seat: Take, reception: Reception, grant: dict[str, Any], reader: Reader, checker: str) -> None:
    """The consumer has all of its grant delivered once more."""
    window = _signed_in(seat, reception, "consumer", department=grant["department"])
    page = open_page(window, f"/data/{grant['id']}?part=repeat")
    assert faults_of(page, checker) == []
    before = len(reader.records)
    page.get_by_label("申请重放").get_by_text("全部", exact=True).click()
    page.get_by_role("button", name="开始重放").click()
    expect(page.get_by_label("重放记录")).to_contain_text("已完成", timeout=30_000)
    eventually(lambda: (reader.poll(), reader.records)[1], lambda seen: len(seen) == before + 2, "both rows once more")
    window.shot("running-replay")


def _compare(window: Seat, table: Table) -> None:
    """Ops have compared what the consumer has with what it should have."""
    page = open_page(window, "/running/replays")
    page.get_by_role("combobox", name="选择授权").fill(table.code)
    page.locator(".ant-select-item-option").first.click()
    page.get_by_role("button", name="立即比对").click()
    page.get_by_role("dialog").get_by_role("button", name="立即比对").click()
    row = page.get_by_role("row").filter(has_text=table.code).filter(has_text="一致")
    expect(row.first).to_be_visible(timeout=60_000)
    window.shot("running-replays")


def test_a_provider_releases_a_row_of_its_own_and_sees_no_other(seat: Take, reception: Reception, town: Town) -> None:
    table = town.table({"id": "text", "region": "text"}, rules=[{**RULE, "parameters": {"values": ["320612"]}}])
    reader = town.reader(town.live_grant(table, ["id", "region"]))
    table.run("insert into {t} values ('c', '110105')")
    window = _signed_in(seat, reception, "provider", department=OWNER.slug)
    page = open_page(window, f"/running/quarantine?resource={table.code}")
    page.get_by_role("row").filter(has_text=table.code).get_by_role("button", name=re.compile("查看")).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="放行").click()
    expect(dialog).to_contain_text("放行须说明理由")
    dialog.get_by_label("放行理由").fill("历史区划代码")
    dialog.get_by_role("button", name="放行").click()
    expect(dialog).to_contain_text("已放行", timeout=15_000)
    reader.await_state({"c": {"id": "c", "region": "110105"}})
    stranger = _signed_in(seat, reception, "provider", department="civil_affairs")
    page = open_page(stranger, f"/running/quarantine?resource={table.code}&show=all")
    expect(page.get_by_role("row").filter(has_text=table.code)).to_have_count(0)
