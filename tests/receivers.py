"""Who receives what the exchange sends: a server that takes posts, and a mail server; both real."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session


class Hook:
    """A server that takes posts and answers as it is told to; `drip` never comes to an end."""

    def __init__(self, answer: bytes = b"HTTP/1.1 204 No Content\r\n\r\n", *, drip: bool = False) -> None:
        self.requests: list[bytes] = []
        self._answer, self._drip = answer, drip
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def told(self) -> list[dict[str, Any]]:
        """What was posted, as JSON."""
        return [json.loads(request.partition(b"\r\n\r\n")[2]) for request in self.requests]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?x=1"

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection:
            request = connection.recv(65_536)
            while not request.endswith(b"}"):
                request += connection.recv(65_536)
            self.requests.append(request)
            try:
                while self._drip:
                    connection.sendall(b"H")
                    time.sleep(0.05)
                connection.sendall(self._answer)
            except OSError:
                return

    def close(self) -> None:
        # closing alone does not wake who waits in accept
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@contextmanager
def hook(*args: Any, **more: Any) -> Iterator[Hook]:
    made = Hook(*args, **more)
    try:
        yield made
    finally:
        made.close()


class Mailbox:
    """A mail server's hook: it keeps what arrives, and takes nothing for nobody@…."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []

    def messages(self) -> list[EmailMessage]:
        """What has arrived."""
        found = (message_from_bytes(one.original_content or b"", policy=policy.default) for one in self.envelopes)
        return [one for one in found if isinstance(one, EmailMessage)]

    async def handle_RCPT(  # noqa: N802 - the library's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("nobody@"):
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.envelopes.append(envelope)
        return "250 OK"


@contextmanager
def mailbox(port: int) -> Iterator[Mailbox]:
    box = Mailbox()
    server = Controller(box, hostname="127.0.0.1", port=port)
    server.start()
    try:
        yield box
    finally:
        server.stop()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
