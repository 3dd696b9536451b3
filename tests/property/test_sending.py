"""Webhooks: signed as the standard says, never to an address that is closed, and harmless when they hang."""

from __future__ import annotations

import ipaddress
import time
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from infra.embedded.scratch import scratch_database
from services.core import sending
from services.core.db import sessions
from services.core.reach import Address
from services.core.sending import (
    BACK_OFF,
    Letter,
    NotSent,
    mail,
    may_reach,
    post,
    secret_of,
    signature,
    target_defects,
)
from services.core.settings import Settings
from services.demand import cases
from services.demand import demand_store as store
from services.demand.noticing import tell
from services.demand.sending import sender as sender_of
from tests.receivers import free_port, hook, mailbox

LOOPBACK = ipaddress.ip_address("127.0.0.1")


@pytest.fixture
def here(tmp_path: Path) -> Settings:
    (tmp_path / "webhook_key").write_text("00" * 32)
    return Settings(secrets=tmp_path, webhook_networks="127.0.0.0/8")


def letter(target: str, secret: str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw") -> Letter:
    return Letter(id="notice_1", kind="webhook", target=target, subject="题", text="文", body=b"{}", secret=secret)


def test_the_signature_is_the_standard_s() -> None:
    """The vector of the specification's own libraries."""
    made = signature(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_post_says_what_it_is_and_can_be_checked(here: Settings) -> None:
    with hook() as one:
        post(letter(one.url), here)
        head, _, body = one.requests[0].partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    assert first == "POST /hook?x=1 HTTP/1.1" and headers["host"] == f"127.0.0.1:{one.port}"
    moment = int(headers["webhook-timestamp"])
    assert abs(moment - time.time()) < 60
    assert headers["webhook-signature"] == signature(letter("").secret, headers["webhook-id"], moment, body)


CLOSED = (
    "127.0.0.1", "10.0.0.1", "172.16.3.4", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "224.0.0.1",
    "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
    "64:ff9b::a00:1", "2002:a00:1::", "2001:0:a00:1::",
)  # fmt: skip


@pytest.mark.parametrize("address", CLOSED)
def test_no_address_inside_may_be_reached(tmp_path: Path, address: str) -> None:
    closed = Settings(secrets=tmp_path)
    assert not may_reach(ipaddress.ip_address(address), "https", closed)
    shown = f"[{address}]" if ":" in address else address
    assert target_defects("webhook", f"https://{shown}/hook", closed)


@given(st.ip_addresses())
def test_only_what_is_global_is_open_and_only_with_tls(address: Address) -> None:
    closed = Settings()
    assert not may_reach(address, "http", closed)
    mapped = getattr(address, "ipv4_mapped", None) or address
    assert not may_reach(address, "https", closed) or (mapped.is_global and not mapped.is_multicast)


@pytest.mark.parametrize(
    "target",
    ["ftp://a.example/", "https://", "https://user@a.example/", "https://a.example:0/", "https://a.example:99999/",
     "https://a.example/\x00", "https://a example/", "file:///etc/passwd", "https://a.example/#part", "http://10.1.1.1/"],
)  # fmt: skip
def test_what_is_no_address_is_refused_when_it_is_given(target: str) -> None:
    assert target_defects("webhook", target, Settings())


def test_the_connection_goes_to_the_address_that_was_checked(here: Settings) -> None:
    asked: list[str] = []

    def rebinding(host: str, port: int) -> list[Address]:
        asked.append(host)
        return [LOOPBACK] if len(asked) == 1 else [ipaddress.ip_address("10.0.0.1")]

    with hook() as one:
        # a name that does not exist: whoever looked it up again would get nowhere
        post(letter(f"http://hooks.invalid:{one.port}/hook"), here, rebinding)
        assert len(one.requests) == 1 and f"Host: hooks.invalid:{one.port}".encode() in one.requests[0]
    assert asked == ["hooks.invalid"]
    mixed = [LOOPBACK, ipaddress.ip_address("10.0.0.1")]
    with hook() as one:
        with pytest.raises(NotSent, match="may not be reached"):
            post(letter(f"http://hooks.invalid:{one.port}/hook"), here, lambda host, port: mixed)
        assert one.requests == []


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n", "500"),
        (b"HTTP/1.1 302 Go\r\nlocation: http://10.0.0.1/\r\ncontent-length: 0\r\n\r\n", "302"),
        (b"nonsense", "failed"),
        (b"", "failed"),
    ],
)
def test_only_a_good_answer_is_one(here: Settings, answer: bytes, says: str) -> None:
    with hook(answer) as one, pytest.raises(NotSent, match=says):
        post(letter(one.url), here)
    with pytest.raises(NotSent, match="failed"):
        post(letter(one.url), here)


def test_a_webhook_that_drips_is_hung_up_on(here: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "DEADLINE_SECONDS", 0.5)
    with hook(drip=True) as one:
        begun = time.monotonic()
        with pytest.raises(NotSent, match="in time"):
            post(letter(one.url), here)
        assert time.monotonic() - begun < 3


def test_one_that_hangs_keeps_nobody_waiting_and_is_tried_again(
    here: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "DEADLINE_SECONDS", 1.0)
    with scratch_database("demand") as engine, hook(drip=True) as hanging, hook() as good:
        session_of = sessions(engine)
        now = datetime.now(UTC)
        with session_of() as session, session.begin():
            for one in (hanging, good):
                session.add(
                    store.Subscription(
                        department="a", kind="webhook", target=one.url, created_by="甲", created_at=now
                    )
                )  # fmt: skip
            demand = cases.draft(
                "a", "甲", now,
                {"kind": "catalogued", "title": "核验", "resource": None, "wanted": None, "items": [], "masks": {},
                 "row_filter": None, "channels": [], "purpose": "", "scenario": None, "legal_basis": None,
                 "frequency": "once", "until": None, "emergency": None},
            )  # fmt: skip
            session.add(demand)
            session.flush()
            for _ in range(3):
                tell(session, demand, "a", "demand_approved", now)
        sender = sender_of(session_of, here)
        begun = time.monotonic()
        while len(good.requests) < 3:
            sender.send_due(datetime.now(UTC))
            assert time.monotonic() - begun < 10, "the good one waits for the one that hangs"
            time.sleep(0.02)
        deadline = time.monotonic() + 10
        while True:
            with session_of() as session:
                dispatches = session.scalars(select(store.Dispatch).order_by(store.Dispatch.id)).all()
                targets = {one.id: one.target for one in session.scalars(select(store.Subscription))}
            failed = [one for one in dispatches if targets[one.subscription] == hanging.url and one.failure]
            delivered = [one for one in dispatches if one.delivered_at]
            if failed and len(delivered) == 3:
                break
            assert time.monotonic() < deadline, [(one.attempts, one.failure) for one in dispatches]
            time.sleep(0.05)
        assert {targets[one.subscription] for one in delivered} == {good.url}
        assert failed[0].attempts == 1 and failed[0].next_at is not None
        assert failed[0].next_at > now + BACK_OFF[0] - timedelta(seconds=1)
        assert len(hanging.requests) <= 2, "of one subscription one is on its way at a time"
        # long after, the last attempt is the last
        with session_of() as session, session.begin():
            session.get_one(store.Dispatch, failed[0].id).attempts = len(BACK_OFF)
        far = datetime.now(UTC) + timedelta(days=1)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            sender.send_due(far)
            with session_of() as session:
                last = session.get_one(store.Dispatch, failed[0].id)
            if last.next_at is None:
                break
            time.sleep(0.05)
        assert last.attempts == len(BACK_OFF) + 1 and last.next_at is None and last.delivered_at is None


def test_secrets_are_apart_and_come_back_the_same(here: Settings) -> None:
    one, other = uuid.uuid4(), uuid.uuid4()
    assert secret_of(here, one) == secret_of(here, one) != secret_of(here, other)


def test_a_notice_arrives_at_a_mail_server() -> None:
    port = free_port()
    here = Settings(smtp_host="127.0.0.1", smtp_port=port, smtp_from="tongshu@city.example")
    note = replace(letter("a@b.example"), kind="email", subject="申请已批准：核验", text="申请已批准\nApproved\n")
    with pytest.raises(NotSent, match="ConnectionRefused"):
        mail(note, here)
    with mailbox(port) as box:
        mail(note, here)
        with pytest.raises(NotSent, match="RecipientsRefused"):
            mail(replace(note, target="nobody@b.example"), here)
    (arrived,), (told,) = box.envelopes, box.messages()
    assert (arrived.mail_from, arrived.rcpt_tos) == ("tongshu@city.example", ["a@b.example"])
    assert (told["Subject"], told["To"], told["Message-ID"]) == (note.subject, "a@b.example", f"<{note.id}@tongshu>")
    body = told.get_body()
    assert body is not None and body.get_content().split() == note.text.split()


@pytest.mark.parametrize("target", ["a@b.example", "nobody", "a@b", "a@b.example\nBcc: x@y.example", "@b.example"])
def test_mail_goes_to_addresses_only(target: str) -> None:
    defects = target_defects("email", target, Settings(smtp_host="mail.example"))
    assert (not defects) == (target == "a@b.example")
    assert target_defects("email", "a@b.example", Settings()), "without a mail server there is no mail"
