"""`make demo`: two traders, an EMS and a paper broker in processes of their own; exit code 0 if everything held true.

    run.py                                    the paper broker's seeded market
    run.py --market replay:FILE               a recording, one symbol

Prints the conversation as it happens and a table of positions, then checks what was said by everybody. Exit codes: 0;
1 when a check or a process failed, with a sentence saying which; 2 for a market that cannot be played; 130 after Ctrl-C
(143 after SIGTERM). Whatever the end, every process that was started has ended and nothing is left on disk.
"""

import argparse
import asyncio
import signal
import sys
import time
from pathlib import Path

import grpc.aio
from checks import CHECKS, explained_by
from evidence import Evidence
from ledger import ledger
from printing import Transcript
from processes import StageError
from script import perform
from stage import BROKER, Stage, set_up

from pitline_client import Caller, PitlineError
from pitline_rpc.errors import leaves

_PLAY_SECONDS_MAX = 45.0
_REPLAY_PREFIX = "replay:"
_REPLAY_SPEED = 5.0
_SEEDED_SPEED = 2.0


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description="Two traders, an EMS and a paper broker.")
    parser.add_argument("--market", default="seeded", type=_market, help="seeded, or replay:FILE (one recording)")
    market: str = parser.parse_args().market
    transcript = Transcript()
    try:
        return asyncio.run(_until_signaled(market, transcript))
    except* (StageError, PitlineError, grpc.aio.AioRpcError) as group:
        for error in leaves(group):
            transcript.failure(f"the demo failed: {error}")
    return 1


async def _until_signaled(market: str, transcript: Transcript) -> int:
    loop, demo = asyncio.get_running_loop(), asyncio.current_task()
    assert demo is not None
    received: list[int] = []

    def stop(number: int) -> None:
        if not received:  # a second one must not disturb the ends of the processes
            demo.cancel()
        received.append(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop, number)
    try:
        return await _demo(market, transcript)
    except asyncio.CancelledError:
        if not received:
            raise
        transcript.failure(f"stopped by {signal.Signals(received[0]).name}")
        return 128 + received[0]


async def _demo(market: str, transcript: Transcript) -> int:
    began = time.monotonic()
    recording = Path(market.removeprefix(_REPLAY_PREFIX)) if market.startswith(_REPLAY_PREFIX) else None
    speed = _REPLAY_SPEED if recording else _SEEDED_SPEED
    transcript.title(f"The conversation; market: {market}, {speed:g} times as fast")
    async with set_up(market, speed, transcript) as stage:
        try:
            async with asyncio.timeout(_PLAY_SECONDS_MAX):
                await perform(stage)
        except TimeoutError:
            raise StageError(f"the play did not end within {_PLAY_SECONDS_MAX:g} s") from None
        evidence = await _gathered(stage)
    transcript.positions(evidence)
    transcript.title("Checks")
    checks = [*CHECKS, *([explained_by(recording)] if recording else [])]
    failed = 0
    for title, check in checks:
        faults = check(evidence)
        transcript.verdict(title, faults)
        failed += bool(faults)
    if failed:
        transcript.failure(f"the demo failed: {failed} of {len(checks)} checks")
        return 1
    transcript.title(f"Everything held, {time.monotonic() - began:.1f} s")
    return 0


async def _gathered(stage: Stage) -> Evidence:
    """What everybody has to say when the play is over: the EMS first, the broker after the EMS has gone."""
    attendances = stage.attendances()
    async with Caller(stage.ems_address, "demo") as caller:
        orders = [order.message async for order in caller.list_orders()]
        positions = [position.message for position in await caller.list_positions(include_flat=True)]
        await stage.drop_copy.reached((await caller.status()).head_seq)
    await stage.close_ems()
    return Evidence(
        symbols=stage.symbols,
        drop_copy=stage.drop_copy.events,
        attendances=attendances,
        positions_held=stage.positions_held(),
        ems_orders=orders,
        ems_positions=positions,
        broker=BROKER,
        ledger=await ledger(stage.broker_address),
    )


def _market(text: str) -> str:
    """The market with an absolute path: the paper broker need not run where the caller stands."""
    if text == "seeded":
        return text
    if not text.startswith(_REPLAY_PREFIX):
        raise argparse.ArgumentTypeError(f"{text!r} is neither seeded nor replay:FILE")
    path = Path(text.removeprefix(_REPLAY_PREFIX))
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"there is no file {path}")
    return f"{_REPLAY_PREFIX}{path.resolve()}"


if __name__ == "__main__":
    sys.exit(main())
