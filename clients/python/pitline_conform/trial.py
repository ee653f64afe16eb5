"""One case being played: its streams, its refs, and the orders that it writes.

Made by the runner for each case, given to its script. Whatever a script leaves open is canceled afterwards.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio

from pitline.broker.v1.broker_service_pb2_grpc import BrokerServiceStub
from pitline.broker.v1.event_pb2 import FATE_RECEIVED_NOT_SENT, FATE_UNKNOWN, FATE_WORKING, BrokerEvent
from pitline.broker.v1.request_pb2 import DURABILITY_FSYNC, CancelOrder, Hello, ModifyOrder, NewOrder
from pitline.types.v1.order_pb2 import ORD_TYPE_LIMIT, SIDE_BUY, SIDE_SELL, TIME_IN_FORCE_DAY, TIME_IN_FORCE_GTC, Side
from pitline_conform.dialog import Dialog
from pitline_conform.ground import Ground
from pitline_conform.record import ENDS, Record, kind_of
from pitline_conform.verdicts import Failed, needs
from pitline_conform.watch import Watch
from pitline_rpc.channel import connect
from pitline_rpc.decimals import canonical, parse

EMS_ID = "conform"
"""Whom the suite says that it is."""

_PERHAPS_OPEN = (FATE_WORKING, FATE_RECEIVED_NOT_SENT, FATE_UNKNOWN)
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


@dataclass(slots=True)
class Run:
    """What the cases of one run share: one EMS, one journal, ever higher epochs."""

    address: str
    patience_seconds: float
    journal_id: str = field(default_factory=lambda: f"CONFORM-{secrets.token_hex(4)}")
    record: Record = field(default_factory=Record)
    ground: Ground | Failed | None = None
    """What the survey found, or why it found nothing."""
    mute: Failed | None = None
    """Why no stream recovers: found out once, and not waited for again in every case."""
    epoch: int = 0
    left_open: list[str] = field(default_factory=list[str])
    """Orders that could not be canceled."""
    _prefix: str = field(default_factory=lambda: "".join(secrets.choice(_LETTERS) for _ in range(8)))
    _orders: int = 0

    def new_ref(self) -> str:
        """An order_ref that was never used."""
        self._orders += 1
        return f"{self._prefix}{self._orders:05}"


class Trial:
    """The hands of a script. `lines` is the transcript."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.lines: list[str] = []
        self.refs: list[str] = []
        """Of the orders written so far."""
        self._dialogs: list[Dialog | Watch] = []
        self._channels: list[grpc.aio.Channel] = []

    @property
    def ground(self) -> Ground:
        """What can be traded, and at what price."""
        if isinstance(self.run.ground, Ground):
            return self.run.ground
        raise self.run.ground or Failed("nothing is known of the counterpart")

    @property
    def stub(self) -> BrokerServiceStub:
        """The counterpart's other calls, on a connection of their own."""
        return BrokerServiceStub(self._connect())

    def declares(self, capability: str) -> None:
        """Skip the case unless this one of the capabilities that are yes or no is declared."""
        needs(getattr(self.ground.capabilities, capability), f"{capability} is not declared")

    # Streams

    async def opens(self) -> Dialog:
        """A trades stream on which nothing was said yet."""
        dialog = Dialog(self._connect(), self.run.record, self.run.patience_seconds, self.lines)
        self._dialogs.append(dialog)
        return dialog

    async def watches(self) -> Watch:
        """A Quotes stream that carries nothing yet."""
        needs(self.ground.serves_quotes, "Quotes is not served: UNIMPLEMENTED")
        watch = Watch(self._connect(), self.run.patience_seconds, self.lines)
        self._dialogs.append(watch)
        return watch

    def hello(self, **changed: Any) -> Hello:
        """A sound hello of the next epoch, with the cursor of the run; or with other fields."""
        self.run.epoch += 1
        hello = Hello(
            ems_id=EMS_ID,
            journal_id=self.run.journal_id,
            epoch=self.run.epoch,
            durability=DURABILITY_FSYNC,
            last_broker_seq=self.run.record.head,
        )
        _set(hello, changed)
        return hello

    async def attaches(
        self, *, since: int | None = None, open_refs: Sequence[str] = (), journal_id: str | None = None
    ) -> Dialog:
        """A stream that has recovered, from the cursor `since` or that of the run, and is alive."""
        if self.run.mute is not None:
            raise self.run.mute
        dialog = await self.opens()
        changed: dict[str, Any] = {} if since is None else {"last_broker_seq": since}
        await dialog.says(self.hello(open_refs=open_refs, journal_id=journal_id or self.run.journal_id, **changed))
        recovered = await dialog.recovers()
        if self.run.record.first_head is None:
            self.run.record.first_head = recovered.hello_ack.head_broker_seq
        await dialog.keeps_alive()
        return dialog

    # Orders

    def new_ref(self) -> str:
        """An order_ref that was never used, canceled afterwards if it turns out to be open."""
        ref = self.run.new_ref()
        self.refs.append(ref)
        return ref

    def resting(self, **changed: Any) -> NewOrder:
        """A LIMIT order to buy, that rests until it is canceled; or with other fields."""
        return self.order(**{"limit_px": canonical(self.ground.rest_at), **changed})

    def order(self, **changed: Any) -> NewOrder:
        """A sound LIMIT order to buy that may rest or fill; or with other fields, one to be rejected."""
        ground, ref = self.ground, self.new_ref()
        tifs = ground.capabilities.times_in_force
        order = NewOrder(
            order_ref=ref,
            request_ref=ref,
            account=ground.account,
            symbol=ground.symbol,
            side=SIDE_BUY,
            order_qty=canonical(ground.qty),
            ord_type=ORD_TYPE_LIMIT,
            time_in_force=TIME_IN_FORCE_DAY if TIME_IN_FORCE_GTC not in tifs else TIME_IN_FORCE_GTC,
        )
        if "limit_px" not in changed:
            order.limit_px = canonical(ground.some_px)
        _set(order, changed)
        return order

    async def taking(self, ems: Dialog, side: Side.ValueType = SIDE_BUY, **changed: Any) -> NewOrder:
        """A LIMIT order that fills at once; or with other fields. With `cross` what it takes is put there first."""
        limit_px = self.ground.takes_at(side)
        order = self.order(**{"side": side, "limit_px": canonical(limit_px), **changed})
        if self.ground.options.cross:
            other = self.order(
                account=self.ground.other_account,
                side=SIDE_SELL if side == SIDE_BUY else SIDE_BUY,
                limit_px=canonical(limit_px),
                order_qty=order.order_qty,
            )
            await ems.says(other)
            await ems.hears(other.order_ref, "ack")
        return order

    async def rests(self, ems: Dialog, **changed: Any) -> NewOrder:
        """An order that was sent, acknowledged, and rests."""
        order = self.resting(**changed)
        await ems.says(order)
        await ems.hears(order.order_ref, "ack")
        return order

    async def fills(self, ems: Dialog, side: Side.ValueType = SIDE_BUY) -> tuple[NewOrder, list[BrokerEvent]]:
        """An order that was sent and filled, and its fills."""
        order = await self.taking(ems, side)
        await ems.says(order)
        return order, await self.hears_fills(ems, order)

    async def hears_fills(self, ems: Dialog, order: NewOrder) -> list[BrokerEvent]:
        """Fills up to the order's quantity. The ack is among the events before the end, or implied."""
        fills: list[BrokerEvent] = []
        while sum(abs(parse(event.fill.fill.signed_qty)) for event in fills) < parse(order.order_qty):
            event = await ems.hears(order.order_ref, "ack", "fill")
            if kind_of(event) == "fill":
                fills.append(event)
        return fills

    def cancel(self, order: NewOrder, number: int = 1) -> CancelOrder:
        """A cancel, the order's first or a later one."""
        return CancelOrder(order_ref=order.order_ref, request_ref=f"{order.order_ref}C{number}")

    def modify(self, order: NewOrder, number: int = 1, **terms: str) -> ModifyOrder:
        """A modify, the order's first or a later one; terms that are not given are the order's."""
        return ModifyOrder(
            order_ref=order.order_ref,
            request_ref=f"{order.order_ref}M{number}",
            order_qty=terms.get("order_qty", order.order_qty),
            limit_px=terms.get("limit_px", order.limit_px),
        )

    # The end

    async def leaves(self) -> None:
        """Cancel what is open, and cut every line. What stays open is named in the run."""
        try:
            await self._cancel_open()
        except (Failed, ValueError):
            pass  # the cases about it say what is wrong
        finally:
            for dialog in self._dialogs:
                await dialog.close()
            for channel in self._channels:
                await channel.close()

    async def _cancel_open(self) -> None:
        record = self.run.record
        open_refs = [ref for ref in self.refs if ref in record.sent and not record.has_ended(ref)]
        if not open_refs:
            return
        try:
            ems = await self.attaches(open_refs=open_refs)
            for ref in open_refs:
                if not record.has_ended(ref) and not self._is_unknown(ems, ref):
                    await ems.says(CancelOrder(order_ref=ref, request_ref=f"{ref}C9"))
                    await ems.hears_until(ref, *ENDS, "cancel_rejected")
        finally:
            self.run.left_open += [ref for ref in open_refs if self._is_left(ref)]

    def _is_unknown(self, ems: Dialog, ref: str) -> bool:
        return not any(state.fate in _PERHAPS_OPEN for state in ems.recovery.ref_states(ref))

    def _is_left(self, ref: str) -> bool:
        told = {kind_of(event) for event in self.run.record.about(ref)}
        return bool(told) and not self.run.record.has_ended(ref)

    def _connect(self) -> grpc.aio.Channel:
        channel = connect(self.run.address)
        self._channels.append(channel)
        return channel


def _set(message: Hello | NewOrder, changed: dict[str, Any]) -> None:
    for name, value in changed.items():
        if value is None:
            message.ClearField(name)  # pyright: ignore[reportArgumentType] - a field's name, whichever
        elif isinstance(value, list | tuple):
            getattr(message, name).extend(value)
        else:
            setattr(message, name, value)
