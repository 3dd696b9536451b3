"""The exchange that the road's tests share: real parts, in a folder and on ports of its own, started once a run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.demo.stage import catalogue, server_of
from cli.demo.world import create
from cli.exchange import Exchange
from infra.embedded import home as homes
from tests.conftest import Tongshu
from tests.road.town import Town


@pytest.fixture(scope="session")
def tongshu(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tongshu]:
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
        # webhooks of tests are on this machine
        "TONGSHU_WEBHOOK_NETWORKS": "127.0.0.0/8",
    }
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
def town(exchange: Exchange) -> Town:
    """The sample departments, registered, with two resources mounted; tests add tables of their own."""
    server = server_of(exchange)
    create(server, seed=809, scale=0.05)
    catalogue(exchange, server)
    return Town(exchange, server)


def exchange_of(command: Tongshu) -> Exchange:
    """The exchange that a command line steers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TONGSHU_HOME", str(command.home))
        home = homes.find()
    assert home is not None
    return Exchange(home)
