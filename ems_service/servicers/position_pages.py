"""Pages of positions, by account and symbol. Used by `trading.py`.

The engine is asked for a moment at a time: which positions there are, and then how some of them stand. Invariant: what
is told is committed, and a page has a bounded number of bytes.
"""

import re
from dataclasses import dataclass

from ems_service.convert import report
from ems_service.core.state import State
from ems_service.engine import Engine
from ems_service.limits import ENCODE_MAX, PAGE_BYTES_MAX
from pitline.ems.v1 import trading_service_pb2 as pb
from pitline.types.v1 import position_pb2

PAGE_TOKEN = re.compile(r"[A-Za-z0-9._-]{1,97} [A-Za-z0-9./_-]{1,32}", re.ASCII)
"""Account and symbol of the last position of the page before."""

_Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class WantedPositions:
    """Which positions, and which page of them: at most `size` beyond the one that the token names."""

    token: str
    size: int
    include_flat: bool
    accounts: frozenset[str]
    symbols: frozenset[str]

    def takes(self, key: _Key) -> bool:
        """By what never changes of a position."""
        return (
            (not self.token or key > tuple(self.token.split(" ")))
            and (not self.accounts or key[0] in self.accounts)
            and (not self.symbols or key[1] in self.symbols)
        )


async def positions_page(wanted: WantedPositions, engine: Engine) -> pb.ListPositionsResponse:
    """A page, and where the next one begins if there is one."""

    def encoded(state: State, keys: list[_Key]) -> list[position_pb2.Position]:
        found = [state.positions[key] for key in keys]
        return [report.position_message(each) for each in found if each.signed_qty or wanted.include_flat]

    keys = sorted(filter(wanted.takes, await engine.read_for_client(lambda state: list(state.positions))))
    page = pb.ListPositionsResponse()
    page_bytes = 0
    for start in range(0, len(keys), ENCODE_MAX):
        some = keys[start : start + ENCODE_MAX]
        for message in await engine.read_for_client(lambda state, some=some: encoded(state, some)):
            page_bytes += message.ByteSize()
            if page.positions and (len(page.positions) == wanted.size or page_bytes > PAGE_BYTES_MAX):
                page.next_page_token = f"{page.positions[-1].account} {page.positions[-1].symbol}"
                return page
            page.positions.append(message)
    return page
