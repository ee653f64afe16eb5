"""How a quantity is split among venues, against a naive rule that goes lot by lot."""

from decimal import Decimal

from hypothesis import given
from hypothesis.strategies import DrawFn, composite, decimals, integers, none, one_of, sampled_from

from ems_service.core.routing import Share, Venue, allocate
from ems_service.core.values import Side
from pitline_rpc.decimals import canonical

D = Decimal


def venue(
    account: str,
    price: str,
    displayed: str = "",
    *,
    limit: str = "",
    lot: str = "1",
    min_qty: str = "",
    max_qty: str = "",
    min_notional: str = "",
) -> Venue:
    """Empty: none."""
    limit_px, displayed_qty, least, most, notional = (
        D(text) if text else None for text in (limit, displayed, min_qty, max_qty, min_notional)
    )
    return Venue(account, D(price), displayed_qty, limit_px, D(lot), least, most, notional)


def split(qty: str, *venues: Venue, side: Side = Side.BUY) -> dict[str, str]:
    """Account and quantity, in the order in which they go out."""
    return {share.account: canonical(share.qty) for share in allocate(D(qty), side, venues)}


def test_the_best_price_goes_first_up_to_what_it_displays() -> None:
    assert split("5", venue("a", "101", "10"), venue("b", "100", "3")) == {"b": "3", "a": "2"}
    assert split("5", venue("a", "101", "10"), venue("b", "100", "3"), side=Side.SELL) == {"a": "5"}


def test_what_nobody_displays_goes_to_the_best_price() -> None:
    assert split("9", venue("a", "101", "2"), venue("b", "100", "3")) == {"b": "7", "a": "2"}


def test_a_venue_that_tells_no_quantity_has_enough() -> None:
    assert split("9", venue("a", "101", "10"), venue("b", "100")) == {"b": "9"}


def test_beyond_the_limit_nothing_is_taken_and_the_rest_goes_where_it_is_nearest() -> None:
    dear, cheap = venue("a", "101", "10", limit="100"), venue("b", "100", "3", limit="100")
    assert split("5", dear, cheap) == {"b": "5"}
    nearest = venue("b", "102", "10", limit="100")
    assert split("5", venue("a", "103", "10", limit="100"), nearest) == {"b": "5"}


def test_of_equal_prices_the_larger_quantity_goes_first_then_the_name() -> None:
    assert split("5", venue("a", "100", "2"), venue("b", "100", "9")) == {"b": "5"}
    assert split("1", venue("b", "100", "2"), venue("a", "100", "2")) == {"a": "1"}


def test_lots_and_bounds_of_each_venue_are_kept() -> None:
    assert split("5", venue("a", "100", "2.5"), venue("b", "101", "9", lot="0.5")) == {"a": "2", "b": "3"}
    assert split("5", venue("a", "100", "9", max_qty="2"), venue("b", "101", "9")) == {"a": "2", "b": "3"}
    assert split("5", venue("a", "100", "4"), venue("b", "101", "9", min_qty="2")) == {"a": "5"}
    assert split("5", venue("a", "100", "4"), venue("b", "10", "1", min_notional="100")) == {"a": "5"}
    assert split("0.5", venue("a", "100", "4")) == {}
    assert split("5", venue("a", "100", max_qty="1"), venue("b", "100", max_qty="2")) == {"a": "1", "b": "2"}


@composite
def markets(draw: DrawFn) -> list[Venue]:
    """Up to five venues with lots of 1, in any order, and one limit or none."""
    limit_px = draw(one_of(none(), integers(95, 105)))
    return [
        Venue(
            f"v{number}",
            D(draw(integers(95, 105))),
            draw(one_of(none(), integers(1, 9).map(D))),
            None if limit_px is None else D(limit_px),
            D(1),
            None,
            None,
            None,
        )
        for number in range(draw(integers(1, 5)))
    ]


def naive(lots: int, side: Side, venues: list[Venue]) -> dict[str, int]:
    """Each lot to the cheapest venue that still displays one within the limit, else to the cheapest of all."""
    sign = 1 if side is Side.BUY else -1
    taken = {venue.account: 0 for venue in venues}
    endless = D("Infinity")
    order = sorted(venues, key=lambda one: (one.price * sign, -(one.displayed_qty or endless), one.account))
    for _ in range(lots):
        for one in order:
            reached = one.limit_px is None or one.price * sign <= one.limit_px * sign
            if reached and (one.displayed_qty is None or taken[one.account] < one.displayed_qty):
                taken[one.account] += 1
                break
        else:
            taken[order[0].account] += 1
    return {account: qty for account, qty in taken.items() if qty}


@given(integers(1, 40), sampled_from(Side), markets())
def test_it_goes_as_lot_by_lot(lots: int, side: Side, venues: list[Venue]) -> None:
    shares = allocate(D(lots), side, venues)
    assert {share.account: int(share.qty) for share in shares} == naive(lots, side, venues)


@composite
def bounded(draw: DrawFn) -> Venue:
    """A venue with lots and bounds of its own."""
    number = draw(integers(0, 99))
    lot = D(draw(sampled_from(["1", "0.1", "0.3", "5"])))
    least = draw(one_of(none(), integers(1, 5).map(D)))
    most = draw(one_of(none(), integers(5, 30).map(D)))
    displayed = draw(one_of(none(), decimals("0.1", "20", places=1)))
    notional = draw(one_of(none(), integers(1, 900).map(D)))
    return Venue(f"v{number}", D(draw(integers(95, 105))), displayed, None, lot, least, most, notional)


@given(decimals("0.1", "60", places=1), sampled_from(Side), integers(1, 4).flatmap(lambda number: _venues(number)))
def test_no_more_than_the_quantity_and_only_what_each_venue_takes(
    qty: Decimal, side: Side, venues: list[Venue]
) -> None:
    shares = allocate(qty, side, venues)
    known = {venue.account: venue for venue in venues}
    assert sum(share.qty for share in shares) <= qty
    assert len({share.account for share in shares}) == len(shares)
    for share in shares:
        assert share.qty > 0
        assert known[share.account].takes(share.qty) == share.qty
    left = qty - sum((share.qty for share in shares), D(0))
    for one in venues:  # nothing stays behind that somebody takes
        held = next((share.qty for share in shares if share.account == one.account), D(0))
        assert one.takes(held + left) <= held or not left
    assert shares == [Share(*share) for share in allocate(qty, side, list(reversed(venues)))]


@composite
def _venues(draw: DrawFn, number: int) -> list[Venue]:
    found = {venue.account: venue for venue in (draw(bounded()) for _ in range(number))}
    return list(found.values())
