"""Every case can fail: brokers that break one promise, and the cases that notice."""

import pytest

from pitline_conform import CASES, Options, Outcome, Result, chosen, play
from support.dutiful import DutifulSim
from support.faulty import FAULTS, Fault
from support.sim import Sim

PATIENCE_SECONDS = 0.3
"""For an answer that never comes; everything else is told at once."""

UNJUDGING = (
    *("D05", "D06", "D11", "D12", "D13", "D14", "D15", "D16", "D17", "D18", "D19", "D21", "J04", "J05", "J06", "K03"),
    *("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B09", "B10", "B12", "B13", "B14", "B15", "B16", "B17"),
)
"""What fails against a broker that takes whatever it is sent."""

BEYOND_THE_SIM = {"K16", "B11", "T06", "T07", "T10", "T11", "T12", "T13", "L06"}
"""What needs stops, books or bars, or a call that the scripted broker always answers well."""


async def played(sim: Sim, numbers: list[str] | tuple[str, ...], patience_seconds: float) -> dict[str, Result]:
    options = Options(symbol="X-USD", patience_seconds=patience_seconds)
    async with sim:
        return {result.case.number: result async for result, _ in play(chosen(numbers), sim.address, options)}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_planted_fault_is_noticed(fault: Fault) -> None:
    sound = {number for number in fault.cases if number[0] != "L"}
    results = await played(fault.make(), fault.cases if sound else (*fault.cases, "F01", "A01"), PATIENCE_SECONDS)
    outcomes = {number: results[number].outcome for number in fault.cases}
    assert outcomes == dict.fromkeys(fault.cases, Outcome.FAILED), results


async def test_broker_that_takes_whatever_it_is_sent_is_noticed() -> None:
    sim = Sim()
    sim.market.quote("X-USD", bid="99", ask="101")
    results = await played(sim, UNJUDGING, 0.3)
    assert [number for number, result in results.items() if result.outcome is not Outcome.FAILED] == []


def test_every_case_was_seen_to_fail() -> None:
    seen = {number for fault in FAULTS for number in fault.cases} | set(UNJUDGING) | BEYOND_THE_SIM
    assert [case.number for case in CASES if case.number not in seen] == []


async def test_hung_broker_is_a_failure_in_words() -> None:
    sim = DutifulSim()
    sim.freeze()
    results = await played(sim, (), 0.1)
    assert len(results) == len(CASES)
    assert (results["A01"].outcome, results["A01"].text) == (Outcome.FAILED, "no recover_end within 0.1 s")
    assert results["D01"].text == "no recover_end within 0.1 s"
    assert "> hello" in results["D01"].transcript
