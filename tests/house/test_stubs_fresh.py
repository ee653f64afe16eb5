"""The committed stubs are those of the contract beside them."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_stubs_are_what_the_contract_generates() -> None:
    run = subprocess.run(
        [sys.executable, ROOT / "protos" / "generate.py", "--check"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
