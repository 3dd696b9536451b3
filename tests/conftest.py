"""What all tests share: the command line as a person types it."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import settings

# how long an example takes is the machine's affair, not the code's
settings.register_profile("tongshu", deadline=None)
settings.load_profile("tongshu")

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command said, and its exit status."""

    status: int
    out: str
    err: str

    @property
    def words(self) -> str:
        """Both streams with all white space folded, for matching."""
        return " ".join((self.out + " " + self.err).split())


@dataclass(frozen=True, slots=True)
class Tongshu:
    """`./tongshu` for the exchange in the state folder `home`."""

    home: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __call__(self, *words: str, within: tuple[str, ...] = (), timeout: float = 300) -> Answer:
        done = subprocess.run(
            [*within, str(ROOT / "tongshu"), *words],
            env={**os.environ, "TONGSHU_HOME": str(self.home), **self.environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def must(self, *words: str) -> str:
        """What a command that has to succeed printed."""
        answer = self(*words)
        assert answer.status == 0, f"./tongshu {' '.join(words)}: {answer.words}"
        return answer.out
