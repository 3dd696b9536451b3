"""Signing in as people do it: the form, the first password, a mistake, and the way out; in both languages."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Take, expected_fault, person_of
from tests.road.console.conftest import OWN_PASSWORD, Reception

LANGUAGES = {"zh-CN": ("登录", "首次登录", "退出登录"), "en": ("Sign in", "First sign-in", "Sign out")}


@pytest.mark.parametrize("locale", LANGUAGES)
def test_the_first_sign_in_asks_for_a_password_of_ones_own(seat: Take, reception: Reception, locale: str) -> None:
    title, first_words, _ = LANGUAGES["zh-CN"]
    login, first = reception.account("auditor")
    window = seat(locale)
    window.open("/")
    page = window.page
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    window.shot(f"sign-in-{locale}")
    window.sign_in(login, "not its password")
    expect(page.get_by_role("alert")).to_be_visible()
    window.sign_in(login, first)
    expect(page.get_by_role("heading", level=1)).to_contain_text(first_words)
    window.shot(f"first-password-{locale}")
    page.locator("input[autocomplete=current-password]").fill(first)
    for field in page.locator("input[autocomplete=new-password]").all():
        field.fill(OWN_PASSWORD)
    page.locator("button[type=submit]").click()
    expect(page.locator("main")).to_be_visible()
    expect(page.get_by_role("navigation").first).to_be_visible()
    window.shot(f"entered-{locale}")


def test_a_page_that_is_opened_from_a_link_comes_after_signing_in(seat: Take, reception: Reception) -> None:
    login, password = person_of(reception, "auditor")
    window = seat()
    window.open("/catalogue")
    window.sign_in(login, password)
    expect(window.page.locator("main")).to_be_visible()
    expect(window.page).to_have_url(re.compile(r"/catalogue$"))


def test_a_style_that_the_policy_does_not_know_is_refused(seat: Take) -> None:
    window = seat()
    window.open("/")
    expect(window.page.get_by_role("heading", level=1)).to_be_visible()
    with expected_fault(window, "Content Security Policy"):
        window.page.evaluate("document.head.append(Object.assign(document.createElement('style'), {textContent: 'x'}))")
        window.page.wait_for_timeout(100)
    with expected_fault(window, "Content Security Policy"):
        window.page.evaluate("document.head.append(Object.assign(document.createElement('script'), {text: '1'}))")
        window.page.wait_for_timeout(100)
