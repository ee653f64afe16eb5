"""Installs are repeatable: what pyproject.toml pins is what constraints.txt locks, and both are plain."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REQUIREMENTS = [
    *PROJECT["dependencies"],
    *(line for extra in PROJECT["optional-dependencies"].values() for line in extra),
]
PIN = re.compile(r"^([\w.-]+)(?:\[[\w,-]+\])?==([\w.]+)$")


def test_every_requirement_is_pinned() -> None:
    assert [line for line in REQUIREMENTS if not PIN.match(line)] == []


def test_the_lock_agrees_with_the_pins() -> None:
    locked = set((ROOT / "constraints.txt").read_text().split())
    assert [
        f"{pin[1]}=={pin[2]}"
        for line in REQUIREMENTS
        if (pin := PIN.match(line)) and f"{pin[1]}=={pin[2]}" not in locked
    ] == []


def test_the_lock_names_versions_and_no_place() -> None:
    lines = (line.strip() for line in (ROOT / "constraints.txt").read_text().splitlines())
    assert [line for line in lines if line and not line.startswith("#") and not re.match(r"[a-z0-9.-]+==", line)] == []
