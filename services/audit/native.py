"""The native engine of the audit (`native/`, Rust): entries, leaves, tiles and bundles, the same by the byte.

What is done here is written in `domain/entry.py`, `verifier.py` and `tiles.py`. The engine does the plain and frequent;
where it is not built, or meets what it does not know or finds amiss, these do the work and say what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from services.audit import verifier
from services.audit.domain.note import Sm2Key
from services.audit.verifier import SM3_SUFFIX, Hashing

try:
    import tongshu_sealing as engine
except ImportError:  # no Rust toolchain has built it: the reference does all the work
    engine = None


def is_here() -> bool:
    """Whether the engine has been built for this machine."""
    return engine is not None


def is_sm3(origin: str) -> bool:
    return origin.endswith(SM3_SUFFIX)


def hashing_of(origin: str) -> Hashing:
    """How the log `origin` is hashed, as quickly as it can be done here."""
    plain = verifier.hashing_of(origin)
    if engine is None:
        return plain
    sm3 = is_sm3(origin)

    def split(bundle: bytes) -> list[bytes]:
        found: list[bytes] | None = engine.split(bundle)
        return plain.split(bundle) if found is None else found

    def numbered(entries: list[bytes], first: int) -> bool:
        return engine.numbered(entries, first) or plain.numbered(entries, first)

    return replace(
        plain,
        leaves=lambda entries: engine.leaves(sm3, entries),
        nodes=lambda hashes: engine.nodes(sm3, hashes),
        split=split,
        numbered=numbered,
    )


class NoSm2(Exception):
    """Signatures of SM2 are asked for, and the engine that makes them is not built."""


def sm2_key(secret: bytes) -> Sm2Key:
    """The private key that 32 bytes are; raises NoSm2, and ValueError for what is none."""
    if engine is None:
        raise NoSm2("only the native engine signs with SM2, and no Rust toolchain has built it")
    key: Sm2Key = engine.Sm2(secret)
    return key


def sealing(
    origin: str,
    learn: Callable[[str, int], str | None],
    reference: Callable[[str], str],
    other: Callable[[Any], bytes],
) -> Any:
    """What makes entries of batches for the log `origin` (`sealing.py`); None where the reference must."""
    return engine.Sealing(is_sm3(origin), learn, reference, other) if engine else None


def messages(entries: list[bytes], first: int) -> list[dict[str, Any]]:
    """Entries as `Producer.produce_batch` takes them; the first one's key is `first`."""
    if engine is not None:
        made: list[dict[str, Any]] = engine.messages(entries, first)
        return made
    return [{"key": b"%d" % number, "value": entry} for number, entry in enumerate(entries, first)]


def joined(entries: list[bytes]) -> bytes | None:
    """A bundle of entries; None where the reference must make it."""
    return engine.joined(entries) if engine else None


def write(folder: Path, files: Mapping[str, bytes]) -> bool:
    """Write files into `folder`, each in one step; whether this could be done here. Raises OSError."""
    if engine is None:
        return False
    engine.write(folder, list(files.items()))
    return True


def sync(paths: Sequence[Path], threads: int) -> bool:
    """Wait until the disk has all of `paths` that are there; whether this could be done here. Raises OSError."""
    if engine is None:
        return False
    engine.sync(paths, threads)
    return True
