"""Jars by package name: what jars.lock says, and how one locked file comes here and is proved to be the one meant.

jgo knows where Maven packages live (and a mirror, if the person named one in jgo's configuration); nothing here does.
"""

import hashlib
import os
import shutil
import tempfile
import threading
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from jgo.config import GlobalSettings
from jgo.maven import Artifact, MavenContext, PythonResolver
from requests import RequestException

WISHES = Path(__file__).with_name("jars.toml")
LOCK = Path(__file__).with_name("jars.lock")
REGISTRY = "registry"
PATIENCE = (1.0, 4.0)
"""Seconds to wait before the second and the third try of a download."""

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


def maven(cache: Path, advance: Advance | None = None) -> MavenContext:
    """Maven as this person's jgo is set up (a mirror named there is asked first), downloading into `cache`."""

    @contextmanager
    def counted(_name: str, _size: int) -> Iterator[Advance]:
        yield advance or (lambda _count: None)

    repositories = GlobalSettings.load().repositories | MavenContext().remote_repos
    return MavenContext(
        PythonResolver(progress_callback=counted), repo_cache=cache, remote_repos=repositories, timeout=30
    )


def artifact_of(context: MavenContext, jar: Jar) -> Artifact:
    component = context.project(jar.group, jar.artifact).at_version(jar.version)
    return component.artifact(jar.classifier, jar.packaging)


def personal_copy(jar: Jar) -> Path | None:
    """Where Maven keeps this file for the whole account, so that a second checkout need not bring it again."""
    try:
        return artifact_of(MavenContext(), jar).cached_path
    except (OSError, RuntimeError):  # an account without a home
        return None


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


def bring(jar: Jar, targets: list[Path], *, advance: Advance, stop: threading.Event) -> None:
    """Have `jar` at every one of `targets`: from one of them, or the account's Maven folder, where the right file is
    there already, else from the network.

    Raises JarAltered, JarUnreachable, or SetUpStopped once `stop` is set. Nothing half-made is left at a target.
    """
    kept = personal_copy(jar)
    at_hand = next((path for path in (*targets, kept) if path and is_true_copy(path, jar)), None)
    if at_hand:
        for target in targets:
            place(at_hand, target)
        advance(jar.size)
        return
    targets[0].parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=targets[0].parent, prefix=".bringing-") as folder:
        fresh = download(jar, Path(folder), advance=advance, stop=stop)
        check(fresh, jar)
        for target in targets:
            place(fresh, target)
        if kept and not kept.exists():
            with suppress(OSError):  # a read-only home costs the next checkout a download, no more
                place(fresh, kept)


def download(jar: Jar, folder: Path, *, advance: Advance, stop: threading.Event) -> Path:
    """Fetch `jar` into `folder`; a network that fails is tried again, twice."""
    arrived = 0

    def count(size: int) -> None:
        nonlocal arrived
        if stop.is_set():
            raise SetUpStopped("Set-up was stopped.")
        arrived += size
        advance(size)

    for wait in (*PATIENCE, None):
        attempt = Path(tempfile.mkdtemp(dir=folder))
        try:
            return artifact_of(maven(attempt, count), jar).resolve()
        except (RequestException, RuntimeError) as error:
            advance(-arrived)
            arrived = 0
            if wait is None or stop.wait(wait):
                raise JarUnreachable(unreachable(jar, error)) from error
    raise AssertionError("the last try returns or raises")


def unreachable(jar: Jar, error: Exception) -> str:
    if isinstance(error, RequestException):
        return f"{jar} could not be downloaded: the Maven package registry does not answer. Check the network."
    return f"{jar} could not be downloaded: the Maven package registry does not hand it out just now."
