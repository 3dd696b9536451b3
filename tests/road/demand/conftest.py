from __future__ import annotations

import pytest

from cli.exchange import Exchange
from tests.road.demand.bureau import Bureau
from tests.road.town import Town


@pytest.fixture(scope="session")
def bureau(exchange: Exchange, town: Town) -> Bureau:
    """Departments that apply and supply, with persons of every part, on real data."""
    return Bureau(exchange, town)
