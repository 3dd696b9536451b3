"""Witnesses: others who see the log grow, and cosign that it only grows (C2SP tlog-witness, tlog-cosignature).

The log asks each of them now and then, with a proof that its newest checkpoint grew from the one that the witness saw
last. What they answer is checked, kept beside the checkpoint, and told in `audit.events`.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx
import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from services.audit.domain.proof import Prover
from services.audit.events import Publisher
from services.audit.tiles import TilesBroken, TileStore
from services.audit.verifier import COSIGNATURE, Key, NotSigned, open_note, parse_key

log = structlog.get_logger()

_SIZE_TYPE = "text/x.tlog.size"
_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness's key, and the prefix of its submissions."""

    key: Key
    url: str


def parse_witnesses(told: str) -> list[Witness]:
    """The witnesses in a setting: `KEY URL`, several parted by commas. Raises NotSigned for what is no such key."""
    found = []
    for one in filter(None, (part.strip() for part in told.split(","))):
        key, _, url = one.partition(" ")
        parsed = parse_key(key)
        if parsed.kind != COSIGNATURE or not url.strip():
            raise NotSigned(f"{one!r} is not the cosigning key and the address of a witness")
        found.append(Witness(parsed, url.strip().rstrip("/")))
    return found


class Refusal(Exception):
    """A witness does not cosign; what it said."""


class Witnesses(threading.Thread):
    """Asks the witnesses while `is_mine` says that it is this process's turn, until `stop` is set."""

    def __init__(
        self,
        witnesses: Sequence[Witness],
        tiles: TileStore,
        log_key: Key,
        session: Callable[[], Session],
        publisher: Publisher,
        *,
        is_mine: Callable[[], bool],
        every_seconds: float,
        stop: threading.Event,
    ) -> None:
        super().__init__(name="witnesses", daemon=True)
        self._witnesses, self._tiles, self._log_key = witnesses, tiles, log_key
        self._session, self._publisher = session, publisher
        self._is_mine, self._every, self._stop_told = is_mine, every_seconds, stop
        self._seen: dict[str, int] = {}
        self._http = httpx.Client(timeout=_TIMEOUT_SECONDS)

    def run(self) -> None:
        while self._witnesses and not self._stop_told.wait(self._every):
            if self._is_mine():
                try:
                    self.step()
                except (SQLAlchemyError, TilesBroken, OSError) as failure:
                    log.warning("no witness can be asked just now", reason=str(failure))

    def step(self) -> list[str]:
        """Ask each witness about the newest checkpoint; the names of those that cosigned it."""
        note = self._tiles.checkpoint()
        if note is None:
            return []
        lines, names = "", list[str]()
        for witness in self._witnesses:
            try:
                lines += self._ask(witness, note)
                names.append(witness.key.name)
            except (Refusal, NotSigned, httpx.HTTPError) as failure:
                log.warning("a witness did not cosign", witness=witness.key.name, reason=str(failure))
        if names:
            self._keep(note + lines, names)
        return names

    def _ask(self, witness: Witness, note: str) -> str:
        """The cosignature lines of a witness, checked; raises Refusal, NotSigned and HTTPError."""
        size = open_note(note, self._log_key).checkpoint.size
        old = self._seen.get(witness.key.name, 0)
        answer = self._submit(witness, note, old, size)
        if answer.status_code == httpx.codes.CONFLICT and answer.headers.get("content-type") == _SIZE_TYPE:
            # it has seen more, or less, than we remember
            old = int(answer.text)
            if old > size:
                raise Refusal(f"it has seen {old} entries of this log, and there are {size}")
            answer = self._submit(witness, note, old, size)
        if answer.status_code != httpx.codes.OK:
            raise Refusal(f"{answer.status_code} {answer.text[:200]}")
        lines = "".join(line + "\n" for line in answer.text.splitlines() if line.startswith(f"— {witness.key.name} "))
        if witness.key.name not in open_note(note + lines, self._log_key, [witness.key]).witnesses:
            raise Refusal("it answered without a cosignature of its key")
        self._seen[witness.key.name] = size
        return lines

    def _submit(self, witness: Witness, note: str, old: int, size: int) -> httpx.Response:
        proof = Prover(self._tiles.whole, self._tiles.hashing).consistency(old, size)
        lines = [f"old {old}", *(base64.b64encode(one).decode() for one in proof)]
        return self._http.post(f"{witness.url}/add-checkpoint", content="\n".join(lines) + "\n\n" + note)

    def _keep(self, cosigned: str, names: Sequence[str]) -> None:
        self._tiles.keep_cosigned(cosigned)
        with self._session() as session, session.begin():
            size = cosigned.split("\n")[1]
            facts = {"witnesses": ",".join(names), "size": size}
            self._publisher.happened(session, "checkpoint_cosigned", f"checkpoint/{size}", actor="the log", facts=facts)
