"""Jars by package name: what jars.lock says, and how a file is proved to be the one meant."""

import hashlib
import os
import shutil
import tempfile
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

WISHES = Path(__file__).with_name("jars.toml")
LOCK = Path(__file__).with_name("jars.lock")
REGISTRY = "registry"

Advance = Callable[[int], None]
"""Told of bytes that arrived; a negative number takes back those of a try that failed."""


class ToolchainProblem(Exception):
    """The parts that the exchange runs on cannot be had; the message says which, why, and what to do."""


class JarAltered(ToolchainProblem):
    """A file is not the one that was locked: its digest differs."""


class JarUnreachable(ToolchainProblem):
    """A file could not be brought: no network, or the package registry refused it."""


class SetUpStopped(ToolchainProblem):
    """Another download failed or the person pressed Ctrl-C, so this one was left."""


@dataclass(frozen=True, slots=True)
class Jar:
    """One locked file: its Maven coordinate, what it must hash to, and the sets it belongs to."""

    group: str
    artifact: str
    version: str
    classifier: str
    packaging: str
    size: int
    sha256: str
    sets: tuple[str, ...]

    @property
    def name(self) -> str:
        suffix = f"-{self.classifier}" if self.classifier else ""
        return f"{self.artifact}-{self.version}{suffix}.{self.packaging}"

    def __str__(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version}"


def locked(lock: Path = LOCK) -> list[Jar]:
    """Every file of the lock, in the lock's order (which is the order on a class path)."""
    rows = tomllib.loads(lock.read_text())["jar"]
    return [Jar(**{**row, "sets": tuple(row["sets"])}) for row in rows]


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check(path: Path, jar: Jar) -> None:
    """Raise JarAltered, and remove the file, when `path` is not what was locked as `jar`."""
    found = digest(path)
    if found != jar.sha256:
        path.unlink()
        raise JarAltered(f"{jar} is not the file that was locked: expected SHA-256 {jar.sha256}, found {found}.")


def place(source: Path, target: Path) -> None:
    """Put `source` at `target` in one step, without a second copy on the disk where the file system allows."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".placing-") as folder:
        fresh = Path(folder) / target.name
        try:
            os.link(source, fresh)
        except OSError:
            shutil.copyfile(source, fresh)
        fresh.replace(target)


def is_true_copy(path: Path, jar: Jar) -> bool:
    return path.is_file() and path.stat().st_size == jar.size and digest(path) == jar.sha256
