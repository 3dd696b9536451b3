"""The native engine of the projection, built where this machine has Rust: once for each state of its sources.

Without Rust, or with one that does not work, the exchange runs on the reference engine; that is said once, and is no
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

CRATE = Path(__file__).resolve().parents[2] / "services" / "sync" / "projection" / "native"
MODULE = "tongshu_projection.abi3.so"
_BUILD_SECONDS = 900


def folder(tools: Path) -> Path:
    """Where the module for the sources as they are now lies, or would lie."""
    state = hashlib.sha256()
    for path in sorted([CRATE / "Cargo.toml", CRATE / "Cargo.lock", *(CRATE / "src").glob("*.rs")]):
        state.update(path.name.encode() + b"\0" + path.read_bytes())
    return tools / "native" / state.hexdigest()[:16]


def build(tools: Path, report: Console) -> None:
    """Build the module if it is not there and let this environment find it; says on `report` why it cannot be built."""
    made = folder(tools)
    if not (made / MODULE).is_file() and not _built(made, report):
        return
    path = Path(sysconfig.get_path("purelib")) / "tongshu_native.pth"
    if not path.is_file() or path.read_text() != f"{made}\n":
        path.write_text(f"{made}\n")
        site.addsitedir(str(made))


def _built(made: Path, report: Console) -> bool:
    cargo = shutil.which("cargo")
    if cargo is None:
        report.print("No Rust here: the reference engine projects, which is slower.", style="yellow")
        return False
    report.print("Native engine: building it (once; about a minute)")
    target = made.parent / ".target"
    words = [cargo, "build", "--release", "--locked", "--quiet", "--manifest-path", str(CRATE / "Cargo.toml")]
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target), "PYO3_PYTHON": sys.executable}
    try:
        built = subprocess.run(
            words, env=environment, cwd=CRATE, capture_output=True, text=True, timeout=_BUILD_SECONDS, check=False
        )
        failure = (built.stderr.strip().splitlines() or ["without a word"]) if built.returncode else []
    except (OSError, subprocess.TimeoutExpired) as error:
        failure = [str(error)]
    if failure:
        report.print(
            f"Rust does not build the native engine ({failure[-1]}): the reference engine projects.", style="yellow"
        )
        return False
    made.mkdir(parents=True, exist_ok=True)
    # in one step, for another exchange of this checkout may be about to load it
    fresh = made / f".{MODULE}.{os.getpid()}"
    shutil.copyfile(target / "release" / "libtongshu_projection.so", fresh)
    fresh.replace(made / MODULE)
    return True
