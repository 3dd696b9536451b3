"""Signed checkpoints: what the log vouches for, in a form that independent tools verify.

Sources: C2SP signed-note and tlog-checkpoint.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_ED25519 = b"\x01"


class NotSigned(Exception):
    """A checkpoint that is malformed or was not signed with the expected key."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The log `origin` has `size` entries, and `root` is the root of their tree."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def key_id(name: str, public: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:4]


def verifier_key(name: str, public: bytes) -> str:
    """The public key as others configure it: `name+id+base64`."""
    return f"{name}+{key_id(name, public).hex()}+{base64.b64encode(_ED25519 + public).decode()}"


def sign(checkpoint: Checkpoint, key: Ed25519PrivateKey) -> str:
    """The checkpoint as a note signed under its origin's name."""
    text = checkpoint.text()
    public = key.public_key().public_bytes_raw()
    signature = base64.b64encode(key_id(checkpoint.origin, public) + key.sign(text.encode())).decode()
    return f"{text}\n— {checkpoint.origin} {signature}\n"


def verify(note: str, origin: str, public: bytes) -> Checkpoint:
    """The checkpoint in `note` if `public` signed it under `origin`; raises NotSigned."""
    text, separator, signatures = note.partition("\n\n")
    text += "\n"
    lines = text.splitlines()
    if not separator or len(lines) < 3 or lines[0] != origin:
        raise NotSigned(f"this is no checkpoint of {origin}")
    for line in signatures.splitlines():
        mark, name, encoded = [*line.split(" ", 2), "", ""][:3]
        if mark != "—" or name != origin:
            continue
        try:
            signature = base64.b64decode(encoded, validate=True)
            if signature[:4] != key_id(origin, public):
                continue
            Ed25519PublicKey.from_public_bytes(public).verify(signature[4:], text.encode())
            return Checkpoint(origin, int(lines[1]), base64.b64decode(lines[2], validate=True))
        except (ValueError, InvalidSignature) as error:
            raise NotSigned(f"the signature of {origin} does not hold") from error
    raise NotSigned(f"{origin} has not signed this")
