"""The console's pages, built where npm's packages can be had: once for each state of their sources.

Node is this machine's, or the one that a Python package brings. Where the pages cannot be built the console says so
instead of showing them; that is said once here, and is no failure of the set-up.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from rich.console import Console

SOURCES = Path(__file__).resolve().parents[2] / "services" / "console" / "web"
LOCK = "package-lock.json"
_NO_SOURCES = frozenset({"node_modules", "dist", "test-results", "coverage"})
_INSTALL_SECONDS, _BUILD_SECONDS = 600, 300


class NotBuilt(Exception):
    """The pages could not be built; one sentence that says why."""


def folder(tools: Path, sources: Path = SOURCES) -> Path:
    """Where the pages of the sources as they are now lie, or would lie."""
    state = hashlib.sha256()
    for path in files(sources):
        name = path.relative_to(sources).as_posix().encode()
        state.update(name + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return tools / "console" / state.hexdigest()[:16]


def packages(tools: Path) -> Path:
    """Where the npm packages lie that the pages were built with, those for their tests among them."""
    return tools / "console" / ".build" / "node_modules"


def files(sources: Path) -> list[Path]:
    """What the pages are built from."""
    found: list[Path] = []
    left = [sources] if sources.is_dir() else []
    while left:
        for path in left.pop().iterdir():
            if path.name in _NO_SOURCES:
                continue
            if path.is_dir():
                left.append(path)
            elif path.is_file():
                found.append(path)
    return sorted(found)


def build(tools: Path, node: Path | None, report: Console, sources: Path = SOURCES) -> None:
    """Build the pages if they are not there; says on `report` why they cannot be built."""
    made = folder(tools, sources)
    if (made / "index.html").is_file() or not (sources / LOCK).is_file():
        return
    try:
        npm = _npm(node)
        report.print("Console: building its pages (once; about a minute)")
        _build(made, npm, sources)
    except NotBuilt as why:
        report.print(f"The console's pages are not built, and it will say so: {why}", style="yellow")
    else:
        report.print("Console: its pages are built")


def _npm(node: Path | None) -> list[str]:
    """How npm is called with `node`; raises NotBuilt."""
    if node is None:
        raise NotBuilt("there is no Node 20 or later.")
    # a Node that a Python package brought has npm beside it, as a script and not on the PATH
    for script in (node.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js",):
        if script.is_file():
            return [str(node), str(script)]
    npm = shutil.which("npm")
    if npm is None:
        raise NotBuilt("there is Node, but no npm.")
    return [npm]


def _build(made: Path, npm: list[str], sources: Path) -> None:
    """Build in a folder of the tools, whose packages are kept: the checkout stays as it is."""
    place = packages(made.parents[1]).parent
    installed, stamp = place / "node_modules", place / ".installed"
    place.mkdir(parents=True, exist_ok=True)
    for path in place.iterdir():
        if path not in (installed, stamp):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in files(sources):
        copy = place / path.relative_to(sources)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    lock = hashlib.sha256((sources / LOCK).read_bytes()).hexdigest()
    if not installed.is_dir() or not stamp.is_file() or stamp.read_text() != lock:
        stamp.unlink(missing_ok=True)
        _run([*npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"], place, _INSTALL_SECONDS)
        stamp.write_text(lock)
    _run([*npm, "run", "build"], place, _BUILD_SECONDS)
    if not (place / "dist" / "index.html").is_file():
        raise NotBuilt("the build made no dist/index.html.")
    fresh = made.with_name(f".{made.name}.{os.getpid()}")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(place / "dist", fresh)
    shutil.rmtree(made, ignore_errors=True)
    # in one step, for another exchange of this checkout may be about to serve it
    fresh.rename(made)


def _run(command: list[str], place: Path, seconds: float) -> None:
    path = f"{Path(command[0]).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    environment = {**os.environ, "PATH": path, "CI": "1", "NO_UPDATE_NOTIFIER": "1"}
    try:
        done = subprocess.run(
            command, cwd=place, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=seconds, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotBuilt(str(error)) from error
    if done.returncode:
        told = [line.strip() for line in (done.stderr + "\n" + done.stdout).splitlines() if line.strip()]
        failed = [line for line in told if "error" in line.lower()] or told or ["without a word"]
        asked = next((word for word in ("ci", "run") if word in command), command[-1])
        raise NotBuilt(f"`npm {' '.join(command[command.index(asked) :])}` failed ({failed[0][:200]}).")
