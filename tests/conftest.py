"""What all tests share: the command line as a person types it, and one exchange of real parts.

The exchange is in a folder and on ports of its own, and is started once a run, by the first test that asks for it.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from cli.demo.stage import catalogue, server_of
from cli.demo.world import create
from cli.exchange import Exchange
from infra.embedded import home as homes
from tests.collector import Collector, collecting
from tests.road.catalog.office import Place
from tests.road.town import Town

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


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector | None]:
    """Who is told the spans of the shared exchange; nobody, where one runs already and was not told of any."""
    named = os.environ.get("TONGSHU_OTLP_ENDPOINT", "")
    if os.environ.get("TONGSHU_TEST_HOME") and not named:
        yield None
        return
    with collecting(urlsplit(named).port or 0) as made:
        yield made


@pytest.fixture(scope="session")
def tongshu(tmp_path_factory: pytest.TempPathFactory, collector: Collector | None) -> Iterator[Tongshu]:
    """The command line over a running exchange with small sample departments.

    `TONGSHU_TEST_HOME` names one that runs already (`up --samples`), for whoever works on tests; it is left running.
    """
    if running := os.environ.get("TONGSHU_TEST_HOME"):
        yield Tongshu(Path(running))
        return
    # every table that a test mounts has a connector: many that look every 5 ms would leave the tests no processor
    slower = {
        "TONGSHU_CDC_POLL_MILLISECONDS": "50",
        "TONGSHU_MOUNT_WATCH_SECONDS": "3",
        "TONGSHU_TRACKING_LOOK_SECONDS": "2",
        "TONGSHU_WATCH_SAMPLE_SECONDS": "1",
        "TONGSHU_WATCH_WINDOW_SECONDS": "6",
        "TONGSHU_WATCH_FRESH_SECONDS": "1",
        "TONGSHU_WATCH_ALERT_SECONDS": "2",
        "TONGSHU_INCONSISTENCY_SECONDS": "1",
        # webhooks of tests are on this machine
        "TONGSHU_WEBHOOK_NETWORKS": "127.0.0.0/8",
    }
    if collector is not None:
        slower |= {"TONGSHU_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "300"}
        slower["TONGSHU_TRACE_URL"] = f"{collector.url}/trace/{{trace_id}}"
    command = Tongshu(tmp_path_factory.mktemp("shared") / "home", slower)
    command.must("up", "--samples")
    yield command
    command.must("down")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TONGSHU_HOME", str(command.home))
        home = homes.find()
    assert home is not None
    assert homes.leftovers(home) == []


@pytest.fixture(scope="session")
def exchange(tongshu: Tongshu) -> Exchange:
    return exchange_of(tongshu)


@pytest.fixture(scope="session")
def place(exchange: Exchange) -> Place:
    """Callers of every role, and departments of tests' own."""
    return Place(exchange)


@pytest.fixture(scope="session")
def town(exchange: Exchange, towns: list[Town]) -> Town:
    """The sample departments, registered, with two resources mounted; tests add tables of their own."""
    server = server_of(exchange)
    create(server, seed=809, scale=0.05)
    catalogue(exchange, server)
    towns.append(Town(exchange, server))
    return towns[0]


@pytest.fixture(scope="session")
def towns() -> list[Town]:
    """The town, once there is one."""
    return []


@pytest.fixture(scope="module", autouse=True)
def _unmount(towns: list[Town]) -> Iterator[None]:
    """What the tests of a module have mounted goes with them."""
    yield
    for one in towns:
        one.unmount()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The life of an exchange of its own first: it takes longest, and later the shared one is at work beside it.

    Where tests run at once, what needs an exchange comes next. The browser last: pages are looked at with all in them
    that the others have left.
    """
    places = {"own": 0, "shared": 1, "second": 2} if "PYTEST_XDIST_WORKER" in os.environ else {"own": 0}
    items.sort(key=lambda one: (places.get(_group(one.nodeid), len(places)), one.path.parent.name == "browser"))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Where tests run at once (`-n`): what goes to one worker together, and one after another.

    Tests wait for the shared exchange much more than they keep it busy, so that there are two: each worker has its own
    of what is shared. What needs none goes file by file to whoever is free.
    """
    return _Groups(config, log)


class _Groups(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return _group(nodeid)


_SECOND = tuple(f"tests/{part}/" for part in ("browser", "road/catalog", "road/console", "road/demand", "road/watch"))


def _group(nodeid: str) -> str:
    file = nodeid.partition("::")[0]
    if file == "tests/road/test_lifecycle.py":
        return "own"
    if file.startswith(_SECOND) and "TONGSHU_TEST_HOME" not in os.environ:
        return "second"
    return "shared" if file.startswith(("tests/browser/", "tests/road/", "tests/unit/test_commands.py")) else file


def exchange_of(command: Tongshu) -> Exchange:
    """The exchange that a command line steers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TONGSHU_HOME", str(command.home))
        home = homes.find()
    assert home is not None
    return Exchange(home)
