"""The rules of signing in: which passwords are taken, and how long a name is locked after failures."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.console.domain import lockout, password
from services.console.domain.lockout import Failures, after_failure, locked_for

NOW = datetime(2026, 11, 25, 9, tzinfo=UTC)
ALLOWED = 5


@pytest.mark.parametrize(
    "weak",
    [
        "short-pass1",
        "Password2026!",
        "p@ssword",
        "admin-admin-2026",
        "123456789012",
        "abcdefghijklm",
        "aaaaaaaaaaaab",
        "QWERTYUIOPasdf",
        "Zhang.Wei-says-hello",
        "1qaz2wsx1qaz2wsx",
        "x" * 300,
    ],
)
def test_what_everybody_would_try_is_no_password(weak: str) -> None:
    assert password.defects_of(weak, "zhang.wei")


@pytest.mark.parametrize(
    "good", ["correct horse battery", "云上的数据共享交换平台真好", "tR9-kk2w_Zm4p", "Kd8s0qPvT1nXyR4e"]
)
def test_what_is_long_and_its_owners_own_is_one(good: str) -> None:
    assert password.defects_of(good, "zhang.wei") == []


@given(st.text(max_size=40), st.from_regex(r"\A[a-z][a-z0-9._-]{1,39}\Z"))
def test_a_password_that_is_taken_is_long_and_holds_no_login_name(given_one: str, login: str) -> None:
    if password.defects_of(given_one, login) == []:
        assert len(given_one) >= password.SHORTEST
        assert login not in given_one.lower()


def tries(gaps: list[timedelta]) -> list[tuple[datetime, Failures]]:
    """Failures one after another, each as soon as `gap` has passed and it is not locked."""
    at, state, found = NOW, None, []
    for gap in gaps:
        at += gap + locked_for(state, at + gap)
        state = after_failure(state, at, ALLOWED)
        found.append((at, state))
    return found


short_gaps = st.lists(st.timedeltas(timedelta(), timedelta(minutes=30)), min_size=1, max_size=40)


@given(short_gaps)
def test_the_first_failures_lock_nothing_and_all_that_follow_lock_for_longer(gaps: list[timedelta]) -> None:
    waits = [locked_for(state, at) for at, state in tries(gaps)]
    assert all(wait == timedelta() for wait in waits[: ALLOWED - 1])
    assert all(wait >= timedelta(seconds=30) for wait in waits[ALLOWED - 1 :])
    assert waits == sorted(waits)
    assert max(waits) <= timedelta(minutes=15)


@given(short_gaps)
def test_a_name_that_was_left_alone_for_a_day_begins_anew(gaps: list[timedelta]) -> None:
    at, state = tries(gaps)[-1]
    assert after_failure(state, at + lockout.FORGOTTEN_AFTER, ALLOWED).count == 1
    assert locked_for(state, at + lockout.FORGOTTEN_AFTER) == timedelta()


def test_guessing_is_slow() -> None:
    begun = tries([timedelta()] * 100)
    assert begun[-1][0] - NOW > timedelta(hours=20)
