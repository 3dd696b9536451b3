"""The secrets of an exchange: one file each, made once: `python3 -m infra.secrets FOLDER`.

The embedded exchange makes its own when it comes up; for containers, whoever sets them up runs this first. It needs
nothing but Python, and never overwrites a secret.
"""

from __future__ import annotations

import argparse
import base64
import os
import secrets
import sys
from pathlib import Path

from infra.files import write_atomically

_DATABASE_ROLES = ("admin", "catalog", "demand", "sync", "audit", "watch", "console", "registry", "connect")
_WORKROOM_ROLES = ("products", "products_reader")
_BROKER_USERS = ("admin", "controller", "catalog", "demand", "sync", "audit", "watch", "console", "connect")
PASSWORDS = (
    *(f"postgres_{role}_password" for role in (*_DATABASE_ROLES, *_WORKROOM_ROLES)),
    *(f"kafka_{user}_password" for user in _BROKER_USERS),
    "connect_rest_password",
    "redis_password",
    "sources_admin_password",
    "operator_token",
    # by which the catalogue knows the console, and the one that its first administrator begins with
    "console_token",
    "console_admin_password",
)
KEYS = ("pseudonym_key", "audit_signing_key", "webhook_key")
VAULT_KEYS = ("catalog_vault_key", "demand_vault_key")

# An engine hands a secret to a container as the very file that it is here, and every container runs as a user of its
# own. So the files are open, and the folder, which no container sees, is closed to everybody else on this machine.
_OPEN = 0o444
_CLOSED_FOLDER = 0o700


def make(folder: Path, mode: int = 0o600) -> None:
    """Make the secrets that `folder` does not have yet, readable as `mode` says. Raises OSError."""
    for name in PASSWORDS:
        _keep(folder / name, secrets.token_urlsafe(24), mode)
    for name in KEYS:
        _keep(folder / name, secrets.token_hex(32), mode)
    for name in VAULT_KEYS:
        # a Fernet key, made without the library so that this runs where no environment is
        _keep(folder / name, base64.urlsafe_b64encode(os.urandom(32)).decode(), mode)


def _keep(path: Path, value: str, mode: int) -> None:
    if not path.exists():
        write_atomically(path, value, mode)


def main() -> int:
    """Make the secrets for containers; exit 1 with one sentence when the folder cannot be written."""
    parser = argparse.ArgumentParser(prog="python3 -m infra.secrets", description="Make the secrets for containers.")
    parser.add_argument("folder", type=Path, nargs="?", default=Path(".secrets"), help="where (default: .secrets)")
    folder: Path = parser.parse_args().folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(_CLOSED_FOLDER)
        os.umask(0)
        make(folder, _OPEN)
    except OSError as error:
        print(f"{error.filename or folder} cannot be written: {error.strerror}.", file=sys.stderr)
        return 1
    print(f"The secrets are in {folder}.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
