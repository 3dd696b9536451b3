"""How one locked file comes here from Maven's packages.

jgo knows where those live (and a mirror, if the person named one in jgo's configuration); nothing here does.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from jgo.config import GlobalSettings
from jgo.maven import Artifact, MavenContext, PythonResolver
from requests import RequestException

from infra.embedded.jars import Advance, Jar, JarUnreachable, SetUpStopped, check, is_true_copy, place

PATIENCE = (1.0, 4.0)
"""Seconds to wait before the second and the third try of a download."""


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
