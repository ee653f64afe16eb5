"""Fixtures of the client's and the command's tests: a fake EMS that listens."""

from collections.abc import AsyncGenerator

import pytest

from support.fake_ems import FakeEms


@pytest.fixture
async def ems() -> AsyncGenerator[FakeEms]:
    """A fake EMS, listening at `ems.address`."""
    fake = FakeEms()
    async with fake.serving() as listening:
        fake.address = listening.address
        yield fake
