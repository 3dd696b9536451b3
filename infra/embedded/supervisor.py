"""The supervisor: starts the parts in order of need, watches and restarts them, and stops them in order.

One process an exchange (`python -m infra.embedded.supervisor`), which holds the lock of the state folder as it lives.
Each part has a thread: wait for what it needs, start, check until it is well, watch, start again with back-off. What it
knows stands in `run/status.json` for whoever asks.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import psutil

from infra.embedded.home import Home, HomeProblem, Lock, find, leftovers
from infra.embedded.jars import ToolchainProblem
from infra.embedded.parts import Part, PartProblem, parts
from infra.embedded.toolchain import locate
from infra.files import write_atomically

_START_SECONDS = 120.0
_CHECK_EVERY_SECONDS = 5.0
_CHECKS_UNTIL_ILL = 4
_FIRST_BACK_OFF_SECONDS = 0.5
_LONGEST_BACK_OFF_SECONDS = 30.0
_STABLE_SECONDS = 60.0
# nobody waits for them to drain: what they had not finished is taken up again by those that follow
_LEFTOVER_SECONDS = 10.0
_LOG_BYTES = 20 * 1024**2


@dataclass(slots=True)
class State:
    """What is known of a part; `state` is waiting, starting, healthy, done, failing, stopping or stopped."""

    name: str
    state: str = "waiting"
    pid: int | None = None
    port: int | None = None
    restarts: int = 0
    since: float = 0.0
    seconds_to_start: float | None = None
    reason: str | None = None


class _Keeper(threading.Thread):
    """Keeps one part running."""

    def __init__(self, part: Part, home: Home, well: dict[str, threading.Event], stopping: threading.Event) -> None:
        super().__init__(name=part.name, daemon=True)
        self.part, self.state = part, State(part.name, port=part.port, since=time.time())
        self._home, self._well, self._stopping = home, well, stopping
        self._process: subprocess.Popen[bytes] | None = None
        self._end = threading.Event()

    def run(self) -> None:
        back_off = _FIRST_BACK_OFF_SECONDS
        while not self._end.is_set():
            if not self._wait_for_needs():
                return
            started = time.monotonic()
            self._live()
            if self._end.is_set() or (self.part.once and self.state.state == "done"):
                return
            if time.monotonic() - started > _STABLE_SECONDS:
                back_off = _FIRST_BACK_OFF_SECONDS
            self.state.restarts += 1
            self._end.wait(back_off * random.uniform(0.8, 1.2))
            back_off = min(back_off * 2, _LONGEST_BACK_OFF_SECONDS)

    def stop(self) -> None:
        """End the part: asked first, then made to. Returns when nothing of it is left."""
        self._end.set()
        process = self._process
        if process is not None and process.poll() is None:
            self._become("stopping")
            _end(process.pid, self.part)
            process.wait()
        self.join(30)
        self.part.finish()
        self._become("stopped")

    def _wait_for_needs(self) -> bool:
        for need in self.part.needs:
            while not self._well[need].wait(0.2):
                if self._end.is_set():
                    return False
        return not self._end.is_set()

    def _live(self) -> None:
        """One life of the part, from its start to its end."""
        self._become("starting")
        begun = time.monotonic()
        try:
            self.part.prepare()
            self._process = self._spawn()
        except (PartProblem, OSError) as error:
            self._become("failing", str(error))
            return
        self.state.pid = self._process.pid
        if self._end.is_set():  # told to stop while it was being started
            _end(self._process.pid, self.part)
        if self.part.once:
            self._finish_once(begun)
        else:
            self._watch(begun)
        self.state.pid = None

    def _finish_once(self, begun: float) -> None:
        assert self._process is not None
        if self._process.wait() == 0:
            self.state.seconds_to_start = round(time.monotonic() - begun, 1)
            self._become("done")
            self._well[self.part.name].set()
        else:
            self._become("failing", self._last_words())

    def _watch(self, begun: float) -> None:
        assert self._process is not None
        was_well, ill = False, 0
        while self._process.poll() is None:
            reason = self.part.check()
            if self._end.is_set():
                self._process.wait()
                return
            if reason is None:
                if not was_well:
                    self.state.seconds_to_start = round(time.monotonic() - begun, 1)
                was_well, ill = True, 0
                self._become("healthy")
                self._well[self.part.name].set()
            elif was_well:
                ill += 1
                self.state.reason = reason
            elif time.monotonic() - begun > _START_SECONDS:
                ill = _CHECKS_UNTIL_ILL
            else:
                self.state.reason = reason
            if ill >= _CHECKS_UNTIL_ILL:
                self._become("failing", f"it does not get well: {reason}")
                self._well[self.part.name].clear()
                _end(self._process.pid, self.part)
                self._process.wait()
                return
            self._wait(_CHECK_EVERY_SECONDS if was_well else 0.1)
        self._well[self.part.name].clear()
        if not self._end.is_set():
            self._become("failing", f"it ended ({_ending(self._process.returncode)}): {self._last_words()}")

    def _wait(self, seconds: float) -> None:
        """Wait, but not longer than the process lives."""
        assert self._process is not None
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self._process.poll() is None and not self._end.wait(0.1):
            pass

    def _spawn(self) -> subprocess.Popen[bytes]:
        log = self._home.log(self.part.name)
        if log.exists() and log.stat().st_size > _LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))
        environment = {**os.environ, **self._home.environment(), **self.part.environment}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # it doubles the start of every service
        with log.open("ab") as output:
            return subprocess.Popen(
                list(self.part.command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=self._home.path,
                start_new_session=True,
            )

    def _become(self, state: str, reason: str | None = None) -> None:
        if self.state.state != state:
            self.state.since = time.time()
        self.state.state, self.state.reason = state, reason

    def _last_words(self) -> str:
        lines = last_lines(self._home, self.part.name, 1)
        return lines[0].strip()[:500] if lines else "it left no word"


class Supervisor:
    """All parts of an exchange. `stopping` may be set from a signal handler."""

    def __init__(self, home: Home, all_parts: Sequence[Part]) -> None:
        self._home = home
        self.stopping = threading.Event()
        well = {part.name: threading.Event() for part in all_parts}
        self._keepers = [_Keeper(part, home, well, self.stopping) for part in all_parts]

    def run(self) -> None:
        """Keep the parts running until `stopping` is set, then stop them, those that need others first."""
        for keeper in self._keepers:
            keeper.start()
        while not self.stopping.wait(0.2):
            self._tell("running")
        self._tell("stopping")
        for keeper in reversed(self._keepers):
            keeper.stop()
            self._tell("stopping")
        self._tell("stopped")

    def _tell(self, supervisor: str) -> None:
        told = {
            "supervisor": supervisor,
            "pid": os.getpid(),
            "at": time.time(),
            "parts": [asdict(keeper.state) for keeper in self._keepers],
        }
        try:
            write_atomically(self._home.path / "run" / "status.json", json.dumps(told))
        except OSError as error:  # a full disk must not end what still runs
            print(f"the status cannot be written: {error}", file=sys.stderr, flush=True)


def read_status(home: Home) -> dict[str, Any] | None:
    """What the supervisor last told; None when it never ran."""
    try:
        told: dict[str, Any] = json.loads((home.path / "run" / "status.json").read_text())
    except (OSError, ValueError):
        return None
    return told


def last_lines(home: Home, part: str, count: int) -> list[str]:
    """The last lines of a part's log that say something."""
    try:
        with home.log(part).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 65_536))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return []
    return [line for line in lines if line.strip()][-count:]


def end_leftovers(home: Home) -> int:
    """End what a supervisor that died left running; how many processes that were."""
    found = leftovers(home)
    for process in found:
        try:
            process.terminate()
        except psutil.Error:
            continue
    _, alive = psutil.wait_procs(found, _LEFTOVER_SECONDS)
    _kill(alive)
    psutil.wait_procs(alive, 10)
    return len(found)


def _end(pid: int, part: Part) -> None:
    """Ask a process to end, then make it: with all of its session, for some have children of their own."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        process.send_signal(part.stop_signal)
        psutil.wait_procs([process], part.grace_seconds)
    except psutil.NoSuchProcess:
        return
    _kill(family)


def _kill(processes: Sequence[psutil.Process]) -> None:
    for one in processes:
        # one whose parent has just been killed may end of itself
        with suppress(psutil.NoSuchProcess):
            one.kill()


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit {code}"


def main() -> int:
    """The daemon: exits 0 after an orderly stop, 1 with one sentence when it cannot run."""
    try:
        home = find()
        if home is None:
            raise HomeProblem("There is no exchange here yet.")
        lock = Lock(home)
        if not lock.take():
            raise HomeProblem("Another supervisor runs this exchange.")
        end_leftovers(home)
        supervisor = Supervisor(home, parts(home, locate()))
    except (HomeProblem, ToolchainProblem, PartProblem) as problem:
        print(problem, file=sys.stderr)
        return 1
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: supervisor.stopping.set())
    supervisor.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
