"""The stack in containers is reachable from its own machine only, keeps its books, and is watched."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMPOSE = (ROOT / "docker-compose.yml").read_text()


@pytest.fixture(params=["ems", "paper", "ems-fix", "fix"])
def service(request: pytest.FixtureRequest) -> str:
    """The lines of one service of docker-compose.yml."""
    block = re.search(rf"^  {request.param}:\n((?:    .*\n|\n)+)", COMPOSE, re.MULTILINE)
    assert block, COMPOSE
    return block[1]


def test_every_port_is_published_on_the_loopback_only(service: str) -> None:
    published = re.findall(r'"([^"]*:\d+)"', service)
    assert published
    assert [port for port in published if not port.startswith("127.0.0.1:")] == []


def test_the_folder_of_a_service_is_a_named_volume(service: str) -> None:
    folder = re.search(r"_DATA_DIR: (\S+)", service)
    volume = re.search(r'volumes: \["(\w+):(\S+)"\]', service)
    assert folder
    assert volume
    assert volume[2] == folder[1]
    assert f"\n  {volume[1]}:\n" in COMPOSE.partition("\nvolumes:")[2]


def test_a_service_is_asked_for_its_health(service: str) -> None:
    assert "healthcheck: *health" in service
