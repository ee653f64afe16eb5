"""POST_ONLY never takes; REDUCE_ONLY never opens or turns a position; GTD ends at its time."""

from typing import TYPE_CHECKING

import pytest

from paper_broker.core.feed import Side

if TYPE_CHECKING:
    from support.trading_floor import Floor

SECOND_NS = 1_000_000_000


def test_post_only_is_rejected_where_it_would_take_and_rests_elsewhere(floor: "Floor") -> None:
    floor.quotes(bid=("99", "1"), ask=("100", "1"))
    assert floor.buy("A", "1", "100", inst="POST_ONLY") == ["rejected A WOULD_TAKE"]
    assert floor.sell("B", "1", "98", inst="POST_ONLY") == ["rejected B WOULD_TAKE"]
    assert floor.buy("C", "1", "99.9", inst="POST_ONLY") == ["ack C"]
    assert floor.modify("C", px="100") == ["modify_rejected C WOULD_TAKE"]
    assert floor.modify("C", px="99.8") == ["modified C 1 @ 99.8"]
    assert floor.quotes(ask=("99.8", "1")) == ["fill C 1 @ 99.8 maker"]


def test_post_only_does_not_take_a_paper_order_either(floor: "Floor") -> None:
    floor.sell("ALT", "1", "100", account="alt")
    assert floor.buy("A", "1", "100", inst="POST_ONLY") == ["rejected A WOULD_TAKE"]
    assert floor.sell("OWN", "1", "100", account="alt", inst="POST_ONLY") == ["ack OWN"]


@pytest.mark.parametrize("tif", ["IOC", "FOK"])
def test_post_only_that_never_rests_is_a_contradiction(floor: "Floor", tif: str) -> None:
    assert floor.buy("A", "1", "100", tif=tif, inst="POST_ONLY") == ["rejected A UNSUPPORTED"]


def long(floor: "Floor", qty: str) -> None:
    floor.quotes(ask=("100", qty))
    floor.buy("LONG", qty)
    floor.quotes()


def test_reduce_only_is_rejected_where_it_would_open_or_turn(floor: "Floor") -> None:
    assert floor.sell("A", "1", "110", inst="REDUCE_ONLY") == ["rejected A WOULD_NOT_REDUCE"]
    long(floor, "2")
    assert floor.buy("B", "1", "90", inst="REDUCE_ONLY") == ["rejected B WOULD_NOT_REDUCE"]
    assert floor.sell("C", "2.5", "110", inst="REDUCE_ONLY") == ["rejected C WOULD_NOT_REDUCE"]
    assert floor.sell("D", "2", "110", inst="REDUCE_ONLY") == ["ack D"]
    assert floor.modify("D", qty="2.5") == ["modify_rejected D WOULD_NOT_REDUCE"]
    assert floor.quotes(bid=("110", "9")) == ["fill D -2 @ 110 maker"]


def test_reduce_only_fills_up_to_the_position_and_the_rest_is_canceled(floor: "Floor") -> None:
    long(floor, "3")
    floor.sell("R", "3", "110", inst="REDUCE_ONLY")
    floor.quotes(bid=("105", "1"))
    assert floor.sell("A", "1", "105") == ["ack A", "fill A -1 @ 105 taker"]
    assert floor.quotes(bid=("110", "9")) == ["fill R -2 @ 110 maker", "canceled R WOULD_NOT_REDUCE"]
    assert floor.position() == "0 @ 0"


def test_reduce_only_orders_of_one_move_share_the_position(floor: "Floor") -> None:
    long(floor, "3")
    floor.sell("PLAIN", "2", "109")
    floor.sell("R1", "3", "110", inst="REDUCE_ONLY")
    floor.sell("R2", "3", "110", inst="REDUCE_ONLY")
    floor.sell("AFTER", "1", "110")
    assert floor.trades("111", "9") == [
        "fill PLAIN -2 @ 109 maker",
        "fill R1 -1 @ 110 maker",
        "fill AFTER -1 @ 110 maker",
        "canceled R1 WOULD_NOT_REDUCE",
        "canceled R2 WOULD_NOT_REDUCE",
    ]
    assert floor.position() == "-1 @ 110"


def test_taker_gets_no_more_from_a_reduce_only_order_than_it_may_give(floor: "Floor") -> None:
    long(floor, "2")
    floor.sell("R", "2", "110", inst="REDUCE_ONLY")
    floor.sell("PLAIN", "1", "109")
    assert floor.buy("A", "5", "110", account="alt") == [
        "ack A",
        "fill A 1 @ 109 taker",
        "fill PLAIN -1 @ 109 maker",
        "fill A 1 @ 110 taker",
        "fill R -1 @ 110 maker",
        "canceled R WOULD_NOT_REDUCE",
    ]
    assert floor.changes(Side.BUY, "110", "5") == []


def test_good_till_date_ends_at_its_time_and_a_time_that_passed_is_rejected(floor: "Floor") -> None:
    for ref, seconds in (("PAST", 0), ("SOON", 5), ("LATE", 3 * 86_400)):
        said = floor.submit(ref, Side.BUY, "1", "100", "GTD", "main", expire_ns=floor.now_ns + seconds * SECOND_NS)
        assert said == (["rejected PAST EXPIRED"] if ref == "PAST" else [f"ack {ref}"])
    assert floor.after(4_999) == []
    assert floor.after(1) == ["expired SOON"]
    assert floor.state.ended["SOON"].text == "its expire_time passed"
    assert floor.after(86_400_000) == []
