"""Plays cases against an address, one after the other, and says how each ended.

Called by the command and by tests. A case ends within its deadline, whatever the counterpart does.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence

import grpc
import grpc.aio

from pitline.broker.v1.broker_service_pb2_grpc import BrokerServiceStub
from pitline.types.v1.account_pb2 import ENVIRONMENT_LIVE
from pitline_conform.case import Case, Outcome, Result
from pitline_conform.ground import NoContactError, Options, survey
from pitline_conform.trial import Run, Trial
from pitline_conform.verdicts import Failed, Skipped
from pitline_rpc.channel import connect

ANSWERS_A_CASE = 6
"""A case may take as long as so many answers."""

TRANSCRIPT_LINES = 16
"""What is kept of a failure: the last messages."""


async def play(cases: Sequence[Case], address: str, options: Options) -> AsyncGenerator[tuple[Result, Run]]:
    """Play the cases in order and yield each result as it is known, with the run that it belongs to.

    Raises NoContactError when nobody serves at the address, or when what is behind it trades real money.
    """
    run = Run(address, options.patience_seconds)
    await _meet(run, options)
    for case in cases:
        yield await _played(case, run), run


async def _meet(run: Run, options: Options) -> None:
    """Reach the counterpart, see that it is no live one, and look around."""
    async with connect(run.address) as channel:
        try:
            async with asyncio.timeout(run.patience_seconds):
                await channel.channel_ready()
        except TimeoutError:
            raise NoContactError(f"nobody serves at {run.address} within {run.patience_seconds:g} s") from None
        trial = Trial(run)
        try:
            async with asyncio.timeout(run.patience_seconds * ANSWERS_A_CASE):
                accounts = await _attached(trial)
                run.ground = await survey(BrokerServiceStub(channel), accounts, options)
        except Failed as failed:
            run.ground = failed
        except TimeoutError:
            run.ground = Failed("the survey did not come to its end in time")
        finally:
            await trial.leaves()


async def _attached(trial: Trial) -> tuple[str, ...]:
    """The accounts of a counterpart that is none of real money."""
    try:
        ack = (await trial.attaches()).recovery.hello_ack
    except Failed as failed:
        trial.run.mute = failed
        raise
    if any(ENVIRONMENT_LIVE in (ack.environment, account.environment) for account in ack.accounts):
        raise NoContactError(f"{trial.run.address} trades real money: the suite sends orders, and does not run")
    return tuple(account.account for account in ack.accounts)


async def _played(case: Case, run: Run) -> Result:
    trial, began = Trial(run), time.monotonic()
    seconds_max = run.patience_seconds * ANSWERS_A_CASE
    outcome, text, transcript, seconds = Outcome.PASSED, "", "", 0.0
    try:
        async with asyncio.timeout(seconds_max):
            await case.play(trial)
    except Failed as failed:
        outcome, text = Outcome.FAILED, str(failed)
    except Skipped as skipped:
        outcome, text = Outcome.SKIPPED, str(skipped)
    except TimeoutError:
        outcome, text = Outcome.FAILED, f"not at its end within {seconds_max:g} s"
    except grpc.aio.AioRpcError as error:
        outcome, text = Outcome.FAILED, f"the call ended {error.code().name} ({error.details()})"
    except ValueError as error:  # of what cannot be read: a number, most of all
        outcome, text = Outcome.FAILED, f"what came cannot be read: {error}"
    finally:  # whatever ends a case, Ctrl-C too, its orders are canceled
        seconds = time.monotonic() - began
        transcript = "\n".join(trial.lines[-TRANSCRIPT_LINES:])
        await _left(trial, seconds_max)
    return Result(case, outcome, seconds, text, transcript if outcome is Outcome.FAILED else "")


async def _left(trial: Trial, seconds_max: float) -> None:
    try:
        async with asyncio.timeout(seconds_max):
            await trial.leaves()
    except (TimeoutError, ValueError):
        pass  # what could not be cleaned up is named in the run
