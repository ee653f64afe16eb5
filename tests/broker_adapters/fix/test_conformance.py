"""The conformance suite against the adapter, on venues that nobody here wrote.

No case fails, and what is skipped is what the venue cannot do.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from pitline_conform import CASES, Options, Outcome, Result, play
from support import fix_counterparts
from support.fix_counterparts import SYMBOL, Counterpart, executor, fix_adapter, ordermatch

fix_counterparts.needed()

BOTH = (
    r"(modify|position_report|bars|MARKET|GTC|GTD|POST_ONLY|REDUCE_ONLY) is not declared",
    r"neither STOP nor STOP_LIMIT nor TRAILING_STOP is declared",
    r"no market data: .*",
    r"nobody quotes both sides of X-USD",
)
"""Why a case may be skipped, on either venue."""


async def played(venue: Counterpart, folder: Path, profile: str, options: Options) -> list[Result]:
    """The whole suite against an adapter at this venue; nothing may be left open, and nothing may fail."""
    adapter = fix_adapter(folder / "adapter", venue.port, "ONE", profile)
    results: list[Result] = []
    left_open: list[str] = []
    await venue.start()
    try:
        await adapter.start()
        async for result, run in play(CASES, adapter.address, options):
            results.append(result)
            left_open = run.left_open
    finally:
        await adapter.discard()
        await venue.stop()
    failed = [
        f"{each.case.number} {each.text}\n{each.transcript}" for each in results if each.outcome is Outcome.FAILED
    ]
    assert failed == []
    assert left_open == []
    return results


def skipped(results: list[Result], *reasons: str) -> str:
    """Numbers of the cases that were skipped, but for these reasons."""
    allowed = re.compile("|".join(f"(?:{reason})" for reason in reasons))
    left_out = [each for each in results if each.outcome is Outcome.SKIPPED]
    return " ".join(f"{each.case.number} ({each.text})" for each in left_out if not allowed.fullmatch(each.text))


ON_ORDERMATCH = Options(SYMBOL, qty=Decimal(1), rest_at=Decimal(50), buy_at=Decimal(100), cross=True)
"""The suite takes the other side itself: nobody else trades in that book."""

ON_EXECUTOR = Options(SYMBOL, qty=Decimal(1), buy_at=Decimal(100), sell_at=Decimal(90))
"""Nothing rests there: it fills every limit order, whatever its price."""


@pytest.mark.parametrize(
    ("venue", "options", "more", "passed_min"),
    [
        (ordermatch, ON_ORDERMATCH, [r"(IOC|FOK) is not declared"], 100),
        (executor, ON_EXECUTOR, [r"(a limit at which a buy rests|how much is displayed) is not known: .*"], 70),
    ],
    ids=["ordermatch", "executor"],
)
async def test_what_the_venue_can_do_passes_and_the_rest_says_why_not(
    tmp_path: Path, venue: Callable[..., Counterpart], options: Options, more: list[str], passed_min: int
) -> None:
    results = await played(venue(tmp_path / "venue", "ONE"), tmp_path, venue.__name__, options)
    assert skipped(results, *BOTH, *more) == ""
    assert sum(each.outcome is Outcome.PASSED for each in results) >= passed_min
