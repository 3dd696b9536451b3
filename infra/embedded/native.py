"""The native engines of the projection and the audit, built where this machine has Rust: once a state of their sources.

Without Rust, or with one that does not work, the exchange runs on the reference engines; that is said once, and is no
failure of the set-up.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import site
import subprocess
import sys
import sysconfig
from pathlib import Path

from rich.console import Console

WORKSPACE = Path(__file__).resolve().parents[2] / "services"
CRATES = ("core/native", "sync/relay/native", "sync/projection/native", "audit/native")
MODULES = ("tongshu_projection", "tongshu_sealing")
_BUILD_SECONDS = 900


def folder(tools: Path) -> Path:
    """Where the modules for the sources as they are now lie, or would lie."""
    state = hashlib.sha256()
    sources = [WORKSPACE / "Cargo.toml", WORKSPACE / "Cargo.lock"]
    for crate in CRATES:
        sources += [WORKSPACE / crate / "Cargo.toml", *sorted((WORKSPACE / crate / "src").glob("*.rs"))]
    for path in sources:
        state.update(str(path.relative_to(WORKSPACE)).encode() + b"\0" + path.read_bytes())
    return tools / "native" / state.hexdigest()[:16]


def build(tools: Path, report: Console) -> None:
    """Build the modules that are not there and let this environment find them; says on `report` why that cannot be."""
    made = folder(tools)
    if not all(_module(made, name).is_file() for name in MODULES) and not _built(made, report):
        return
    path = Path(sysconfig.get_path("purelib")) / "tongshu_native.pth"
    if not path.is_file() or path.read_text() != f"{made}\n":
        path.write_text(f"{made}\n")
        site.addsitedir(str(made))


def _module(made: Path, name: str) -> Path:
    return made / f"{name}.abi3.so"


def _built(made: Path, report: Console) -> bool:
    cargo = shutil.which("cargo")
    if cargo is None:
        report.print("No Rust here: the reference engines project and seal, which is slower.", style="yellow")
        return False
    report.print("Native engines: building them (once; about a minute)")
    target = made.parent / ".target"
    words = [cargo, "build", "--release", "--locked", "--quiet", "--manifest-path", str(WORKSPACE / "Cargo.toml")]
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target), "PYO3_PYTHON": sys.executable}
    try:
        built = subprocess.run(
            words, env=environment, cwd=WORKSPACE, capture_output=True, text=True, timeout=_BUILD_SECONDS, check=False
        )
        failure = (built.stderr.strip().splitlines() or ["without a word"]) if built.returncode else []
    except (OSError, subprocess.TimeoutExpired) as error:
        failure = [str(error)]
    if failure:
        report.print(f"Rust does not build the native engines ({failure[-1]}): the reference ones run.", style="yellow")
        return False
    made.mkdir(parents=True, exist_ok=True)
    for name in MODULES:
        # in one step, for another exchange of this checkout may be about to load it
        fresh = made / f".{name}.{os.getpid()}"
        shutil.copyfile(target / "release" / f"lib{name}.so", fresh)
        fresh.replace(_module(made, name))
    return True
