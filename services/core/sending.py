"""Sending messages: by webhook, signed as Standard Webhooks says, and by e-mail; tried again until it is too late.

A webhook is an address that somebody else chose. So its host is looked up once, every address found must be one that
may be reached, and the connection goes to that very address, whatever the name means a moment later (DNS rebinding).
Private, loopback and link-local networks are closed unless a setting opens them; no redirect is followed; no attempt
takes longer than ten seconds in all, however slowly the other side speaks. Sending is at least once: `webhook-id` tells
a receiver what it has seen. Source: standardwebhooks.com, specification 1.0.0.

A service keeps in its own schema where its messages go (`Subscribed`) and what is on its way there (`Dispatched`).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import ipaddress
import smtplib
import socket
import ssl
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from typing import Generic, TypeVar
from urllib.parse import SplitResult, urlsplit

import structlog
from sqlalchemy import BigInteger, DateTime, ForeignKey, Identity, String, Text, Uuid, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Mapped, Session, declared_attr, mapped_column

from services.core import reach
from services.core.settings import Settings
from services.core.words import Words

log = structlog.get_logger()

DEADLINE_SECONDS = 10.0
# after the nth failed attempt; after the last there is no other
BACK_OFF = tuple(timedelta(seconds=seconds) for seconds in (5, 30, 120, 600, 3_600, 21_600))
_EVERY_SECONDS = 1.0
Resolve = Callable[[str, int], list[reach.Address]]
_AT_ONCE = 8
_LEASE = timedelta(seconds=60)

# addresses that stand for others: what is behind them is what counts, and cannot be known
_TRANSLATED = tuple(ipaddress.ip_network(one) for one in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32"))


class Subscribed:
    """Columns of where messages are sent: a webhook's address or an e-mail address."""

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True, default=uuid.uuid4)
    kind: Mapped[str] = mapped_column(String(10))
    target: Mapped[str] = mapped_column(Text)
    created_by: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Dispatched:
    """Columns of a message on its way to a subscription: how often it was tried, when it is next (null: it is over)."""

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    attempts: Mapped[int] = mapped_column(default=0)
    next_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    delivered_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    failure: Mapped[str | None] = mapped_column(Text)

    @declared_attr
    def subscription(cls) -> Mapped[uuid.UUID]:  # noqa: N805 - SQLAlchemy calls it with the class
        schema = cls.metadata.schema  # type: ignore[attr-defined]
        return mapped_column(ForeignKey(f"{schema}.subscriptions.id"), index=True)


D = TypeVar("D", bound=Dispatched)
S = TypeVar("S", bound=Subscribed)


class NotSent(Exception):
    """Why a message could not be delivered this time; no secret and no answer of the other side is in it."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A message ready to be sent."""

    id: str
    kind: str
    target: str
    subject: str
    text: str
    body: bytes
    secret: str


def secret_of(settings: Settings, subscription: uuid.UUID) -> str:
    """The secret of a webhook: made from the exchange's own key, kept nowhere."""
    key = bytes.fromhex(settings.secret("webhook_key"))
    return "whsec_" + base64.b64encode(hmac.new(key, subscription.bytes, hashlib.sha256).digest()).decode()


def letter_to(
    subscription: Subscribed, settings: Settings, *, letter_id: str, subject: str, text: str, body: bytes
) -> Letter:
    """A letter to where a subscription says."""
    return Letter(
        id=letter_id,
        kind=subscription.kind,
        target=subscription.target,
        subject=" ".join(subject.split()),
        text=text,
        body=body,
        secret=secret_of(settings, subscription.id) if subscription.kind == "webhook" else "",
    )


def signature(secret: str, letter_id: str, timestamp: int, body: bytes) -> str:
    """The `webhook-signature` of a post."""
    signed = f"{letter_id}.{timestamp}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def target_defects(kind: str, target: str, settings: Settings) -> list[Words]:
    """What keeps messages from being sent to `target`, as far as can be said without trying."""
    if kind == "email":
        return _mail_defects(target, settings)
    try:
        parts = urlsplit(target)
        port = parts.port
    except ValueError:
        return [Words("is not an address", "不是有效的地址")]
    found = []
    if parts.scheme not in ("https", "http") or not parts.hostname:
        found.append(Words("must be an https:// address", "须为 https:// 地址"))
    if parts.username is not None or parts.fragment:
        found.append(Words("may hold neither a user nor a fragment", "不得包含用户名或片段"))
    if port == 0 or not target.isascii() or any(character <= " " for character in target):
        found.append(Words("is not an address", "不是有效的地址"))
    if not found:
        try:
            addresses = [ipaddress.ip_address(parts.hostname or "")]
        except ValueError:
            addresses = []  # a name: looked up when something is sent
        if any(not may_reach(one, parts.scheme, settings) for one in addresses):
            found.append(Words("is an address that may not be reached", "该地址不允许访问"))
    return found


def _mail_defects(target: str, settings: Settings) -> list[Words]:
    found = []
    if not settings.smtp_host:
        found.append(Words("this exchange has no mail server", "本平台未配置邮件服务器"))
    try:
        parsed = Address(addr_spec=target)
        well = bool(parsed.username) and "." in parsed.domain and target.isascii()
    except (ValueError, IndexError, MessageError):
        well = False
    if not well:
        found.append(Words("is not an e-mail address", "不是有效的电子邮件地址"))
    return found


def may_reach(address: reach.Address, scheme: str, settings: Settings) -> bool:
    """Whether a webhook may be there. Networks that the setting opens may be reached without TLS, too."""
    if any(address in one for one in _TRANSLATED):
        return False
    opened = reach.is_opened(address, reach.networks_of(settings.webhook_networks))
    return opened or (scheme == "https" and reach.is_public(address))


def post(letter: Letter, settings: Settings, resolve: Resolve = reach.addresses_of) -> None:
    """Post a letter to its webhook; raises NotSent unless it is taken (2xx)."""
    parts = urlsplit(letter.target)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        addresses = resolve(host, port)
    except (OSError, UnicodeError) as error:
        raise NotSent("the name of the host is not known") from error
    # all of them: one that is allowed beside one that is not is how somebody would try it
    if not addresses or not all(may_reach(one, parts.scheme, settings) for one in addresses):
        raise NotSent("the host has an address that may not be reached")
    timestamp = int(datetime.now(UTC).timestamp())
    headers = {
        "Host": parts.netloc,
        "Content-Type": "application/json",
        "User-Agent": "tongshu",
        "webhook-id": letter.id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(letter.secret, letter.id, timestamp, letter.body),
    }
    try:
        _exchange(parts, addresses[0], port, letter.body, headers)
    except TimeoutError as error:
        raise NotSent("no answer in time") from error
    except (OSError, http.client.HTTPException) as error:
        raise NotSent(f"the connection failed: {type(error).__name__}") from error


def _exchange(parts: SplitResult, address: reach.Address, port: int, body: bytes, headers: dict[str, str]) -> None:
    late = threading.Event()
    with socket.create_connection((str(address), port), DEADLINE_SECONDS) as plain:

        def hang_up() -> None:
            late.set()
            try:
                plain.shutdown(socket.SHUT_RDWR)
            except OSError:
                log.debug("webhook had hung up by itself")

        # a timeout of the socket is one per read: this one is for all of it
        timer = threading.Timer(DEADLINE_SECONDS, hang_up)
        timer.daemon = True
        timer.start()
        try:
            connection = http.client.HTTPConnection(str(address), port, timeout=DEADLINE_SECONDS)
            connection.sock = (
                ssl.create_default_context().wrap_socket(plain, server_hostname=parts.hostname)
                if parts.scheme == "https"
                else plain
            )
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("POST", path, body, headers)
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            if late.is_set():
                raise TimeoutError from error
            raise
        finally:
            timer.cancel()
    if not 200 <= status < 300:
        raise NotSent(f"answered {status}")


def mail(letter: Letter, settings: Settings) -> None:
    """Send a letter by e-mail; raises NotSent."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = settings.smtp_from, letter.target, letter.subject
    message["Message-ID"] = f"<{letter.id}@tongshu>"
    message.set_content(letter.text)
    try:
        with smtplib.SMTP(settings.smtp_host, settings.smtp_port, timeout=DEADLINE_SECONDS) as server:
            if settings.smtp_starttls:
                server.starttls(context=ssl.create_default_context())
            server.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        raise NotSent(f"the mail server did not take it: {type(error).__name__}") from error


class Sender(threading.Thread, Generic[D, S]):
    """Sends what is due until the process ends; a subscription that hangs keeps no other waiting."""

    def __init__(
        self,
        session: Callable[[], Session],
        settings: Settings,
        dispatches: type[D],
        subscriptions: type[S],
        letter: Callable[[Session, D, S], Letter],
    ) -> None:
        """`letter` makes of a dispatch what is sent to its subscription."""
        super().__init__(name="sender", daemon=True)
        self._session, self._settings = session, settings
        self._dispatches, self._subscriptions, self._letter = dispatches, subscriptions, letter
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="send")
        self._busy: set[uuid.UUID] = set()
        self._lock = threading.Lock()

    def run(self) -> None:
        pause = threading.Event()
        while not pause.wait(_EVERY_SECONDS):
            try:
                self.send_due(datetime.now(UTC))
            except OperationalError as error:
                log.warning("messages cannot be sent just now", reason=str(error))

    def send_due(self, now: datetime) -> None:
        """Hand what is due to the senders: of each subscription one at a time."""
        with self._lock:
            room, busy = _AT_ONCE - len(self._busy), set(self._busy)
        if room <= 0:
            return
        for dispatch_id, subscription in self._due(now, busy)[:room]:
            letter = self._lease(dispatch_id, now)
            if letter is not None:
                with self._lock:
                    self._busy.add(subscription)
                self._pool.submit(self._send, dispatch_id, subscription, letter)

    def _due(self, now: datetime, busy: set[uuid.UUID]) -> list[tuple[int, uuid.UUID]]:
        table = self._dispatches
        query = (
            select(table.subscription, table.id)
            .where(table.next_at <= now)
            .ext(distinct_on(table.subscription))
            .order_by(table.subscription, table.next_at)
        )
        with self._session() as session:
            return [(one, subscription) for subscription, one in session.execute(query) if subscription not in busy]

    def _lease(self, dispatch_id: int, now: datetime) -> Letter | None:
        """The letter of a dispatch, which nobody else sends for a minute; None where it is nobody's business now."""
        with self._session() as session, session.begin():
            dispatch = session.get(self._dispatches, dispatch_id, with_for_update={"skip_locked": True})
            if dispatch is None or dispatch.next_at is None or dispatch.next_at > now:
                return None
            subscription = session.get_one(self._subscriptions, dispatch.subscription)
            if subscription.ended_at is not None:
                dispatch.next_at, dispatch.failure = None, "the subscription has ended"
                return None
            dispatch.attempts, dispatch.next_at = dispatch.attempts + 1, now + _LEASE
            return self._letter(session, dispatch, subscription)

    def _send(self, dispatch_id: int, subscription: uuid.UUID, letter: Letter) -> None:
        failure: str | None = None
        try:
            (post if letter.kind == "webhook" else mail)(letter, self._settings)
        except NotSent as error:
            failure = str(error)
            log.info("message not sent", dispatch=dispatch_id, reason=failure)
        except Exception as error:  # a fault of ours must not be tried again for ever, nor lie unseen
            failure = f"not sent: {type(error).__name__}"
            log.exception("a message cannot be sent", dispatch=dispatch_id)
        finally:
            with self._lock:
                self._busy.discard(subscription)
        now = datetime.now(UTC)
        with self._session() as session, session.begin():
            dispatch = session.get_one(self._dispatches, dispatch_id, with_for_update=True)
            dispatch.failure = failure
            if failure is None:
                dispatch.delivered_at, dispatch.next_at = now, None
            elif dispatch.attempts > len(BACK_OFF):
                dispatch.next_at = None
            else:
                dispatch.next_at = now + BACK_OFF[dispatch.attempts - 1]
