"""The faults with which `chaos.fix_run` is tried out fit the adapter as it is."""

import asyncio
import os
import sys

from support import fix_counterparts

fix_counterparts.needed()

from chaos.fix_planted import FAULTS  # noqa: E402  needs quickfix


async def test_every_fault_can_still_be_planted() -> None:
    # In a process of its own, since it stays planted.
    code = "from chaos.fix_planted import FAULTS\nfor plant in FAULTS.values(): plant()"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    program = await asyncio.create_subprocess_exec(sys.executable, "-c", code, env=environment)
    assert await program.wait() == 0
    assert len(FAULTS) == 3
