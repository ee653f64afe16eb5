"""`pitline conform` as a program."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from pitline.types.v1.account_pb2 import ENVIRONMENT_LIVE
from pitline_conform import CASES
from support.command import pitline
from support.dutiful import DutifulSim
from support.faulty import AcksTwice

NOBODY = "127.0.0.1:1"


@pytest.mark.parametrize("as_json", [False, True])
async def test_cases_that_pass_exit_with_0(as_json: bool) -> None:
    async with DutifulSim() as sim:
        ran = await pitline(NOBODY, *["--json"] * as_json, "conform", sim.address, "--only", "A0[12]", "--only", "M01")
    assert ran.exit_code == 0, ran.err
    if as_json:
        assert [(line["case"], line["outcome"]) for line in ran.lines] == [
            ("A01", "passed"), ("A02", "passed"), ("M01", "skipped"),
        ]  # fmt: skip
        assert ran.lines[2]["text"] == "modify is declared"
    else:
        assert "3 cases: 2 passed, 0 failed, 1 skipped" in ran.out


async def test_case_that_fails_exits_with_1_and_shows_what_was_said(tmp_path: Path) -> None:
    junit = tmp_path / "junit.xml"
    async with AcksTwice() as sim:
        ran = await pitline(NOBODY, "conform", sim.address, "--only", "A01", "--only", "A02", "--junit", str(junit))
    assert ran.exit_code == 1
    assert "2 cases: 1 passed, 1 failed, 0 skipped" in ran.out
    assert "> order {" in ran.out
    assert "< broker_seq: 2 ack {" in ran.out
    document = ElementTree.parse(junit).getroot()
    assert (document.get("tests"), document.get("failures"), document.get("skipped")) == ("2", "1", "0")
    (case,) = [case for case in document.iter("testcase") if case.find("failure") is not None]
    assert (case.get("name") or "").startswith("A01 ")
    assert "< broker_seq: 2 ack {" in (case.findtext("failure") or "")


async def test_list_names_every_case_and_plays_none() -> None:
    ran = await pitline(NOBODY, "conform", NOBODY, "--list", COLUMNS="200")
    assert ran.exit_code == 0
    assert [line.split()[0] for line in ran.out.splitlines()[1:]] == [case.number for case in CASES]


async def test_nobody_at_the_address_exits_with_7() -> None:
    ran = await pitline(NOBODY, "conform", NOBODY, "--patience", "0.2")
    assert (ran.exit_code, ran.err) == (7, "pitline: nobody serves at 127.0.0.1:1 within 0.2 s\n")


async def test_pattern_that_fits_nothing_is_a_mistake() -> None:
    ran = await pitline(NOBODY, "conform", NOBODY, "--only", "X1", COLUMNS="200")
    assert (ran.exit_code, "no case fits X1" in ran.err) == (2, True)


async def test_live_broker_is_sent_no_order() -> None:
    sim = DutifulSim()
    sim.environment = ENVIRONMENT_LIVE
    async with sim:
        ran = await pitline(NOBODY, "conform", sim.address)
    assert (ran.exit_code, sim.count("order")) == (7, 0)
    assert "trades real money" in ran.err
