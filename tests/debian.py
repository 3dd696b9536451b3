"""Programs that tests need and the exchange does not: this machine's, or Debian's where root may install them."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

_INSTALL_SECONDS = 600


def program(package: str, *names: str) -> str:
    """Where the first of these programs is, which Debian has in `package`. Without it, tests say so: CI fails."""
    if found := _found(names):
        return found
    apt = shutil.which("apt-get")
    if apt is not None and os.geteuid() == 0:
        # tests in several processes may want something at the same moment
        with (Path(tempfile.gettempdir()) / "tongshu-tests-install.lock").open("w") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            steps = (["update"], ["install", "-y", "--no-install-recommends", package])
            for words in () if _found(names) else steps:
                subprocess.run([apt, "-qq", *words], check=False, capture_output=True, timeout=_INSTALL_SECONDS)
    if found := _found(names):
        return found
    if os.environ.get("CI"):
        pytest.fail(f"CI runs these tests, and there is no {names[0]} and no way to install it")
    pytest.skip(f"there is no {names[0]} here, and it cannot be installed (Debian: apt-get install {package})")


def _found(names: tuple[str, ...]) -> str | None:
    # where Debian puts what only root runs, others do not look
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"
    return next((found for name in names if (found := shutil.which(name, path=path))), None)
