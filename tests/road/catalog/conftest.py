from __future__ import annotations

import pytest

from tests.road.catalog.office import Office, Place


@pytest.fixture(scope="session")
def office(place: Place) -> Office:
    """A department that several tests share; each makes resources of its own."""
    return place.office()
