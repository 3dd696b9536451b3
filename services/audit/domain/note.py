"""Signed checkpoints: what the log vouches for, in a form that independent tools verify.

How they are read and checked is in `services/audit/verifier.py`. Sources: C2SP signed-note, tlog-checkpoint and
tlog-cosignature.
"""

from __future__ import annotations

import base64
import struct
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.audit.verifier import COSIGNATURE, ED25519, SM2_NAME, UNASSIGNED, Checkpoint, Key, cosigned_text


class Sm2Key(Protocol):
    """A private key of SM2; `public` is 0x04 and both coordinates, a signature r and s."""

    def public(self) -> bytes: ...

    def sign(self, message: bytes, /) -> bytes: ...


PrivateKey = Ed25519PrivateKey | Sm2Key


def log_key(origin: str, key: PrivateKey) -> Key:
    """The public half, as others configure it to check the log `origin`."""
    if isinstance(key, Ed25519PrivateKey):
        return Key(origin, ED25519, key.public_key().public_bytes_raw())
    return Key(origin, UNASSIGNED, SM2_NAME + key.public())


def sign(checkpoint: Checkpoint, key: PrivateKey) -> str:
    """The checkpoint as a note signed under its origin's name."""
    text = checkpoint.text()
    return f"{text}\n{_line(log_key(checkpoint.origin, key), key.sign(text.encode()))}"


def cosign(checkpoint: Checkpoint, name: str, key: Ed25519PrivateKey, seconds: int) -> str:
    """The signature line of the witness `name`: at that time it had seen no larger tree, and this one is consistent."""
    witness = Key(name, COSIGNATURE, key.public_key().public_bytes_raw())
    signature = key.sign(cosigned_text(checkpoint.text(), seconds))
    return _line(witness, struct.pack(">Q", seconds) + signature)


def _line(key: Key, signature: bytes) -> str:
    return f"— {key.name} {base64.b64encode(key.id() + signature).decode()}\n"
