"""A trading floor for each test of the core."""

from collections.abc import Callable

import pytest

from support.trading_floor import Floor


@pytest.fixture
def floor() -> Floor:
    """A floor on which nothing has happened yet."""
    return Floor()


@pytest.fixture(scope="session")
def new_floor() -> Callable[..., Floor]:
    """Makes floors, for tests that need one for each of their examples, or one with rules of its own."""
    return Floor
