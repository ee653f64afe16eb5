"""Handles on groups of orders that are canceled together, and those that somebody holds, by their ids.

As with orders: `Client` makes them and tells them of every status; handles that nobody holds vanish by themselves.
"""

from collections.abc import Awaitable, Callable
from weakref import WeakValueDictionary

from pitline.ems.v1.event_pb2 import GroupStatus
from pitline_client.errors import CallRefusedError
from pitline_client.news import News


class GroupHandle:
    """A group of this client. Waits raise CommandRefusedError when the group was refused, and what ended attendance."""

    __slots__ = ("__weakref__", "_failure", "_group_id", "_news", "_status", "command_id")

    def __init__(self, group_id: str) -> None:
        self._group_id = group_id
        self._status: GroupStatus | None = None
        self._failure: Exception | None = None
        self._news = News()
        self.command_id = ""
        """The command that asked for it: any status of the group is its answer."""

    def __repr__(self) -> str:
        status = self._status
        return f"<group {self._group_id} {f'{status.pending} pending' if status else 'not answered yet'}>"

    @property
    def group_id(self) -> str:
        """Its id."""
        return self._group_id

    @property
    def status(self) -> GroupStatus | None:
        """How it stands; None until the EMS has answered."""
        return self._status

    async def finished(self) -> GroupStatus:
        """Wait until the last member has answered or the group's deadline is over: what became of each."""
        return await self._news.until(self._finished)

    def note(self, status: GroupStatus) -> None:
        """The client tells: so the group stands now."""
        self._status = status
        self._news.tell()

    def fail(self, error: Exception) -> None:
        """The client tells: it was refused, or there will be no more events."""
        self._failure = self._failure or error
        self._news.tell()

    def _finished(self) -> GroupStatus | None:
        if self._status is not None and self._status.finished:
            return self._status
        if self._failure is not None:
            raise self._failure
        return None


class Groups:
    """Handles of the groups of one client id."""

    __slots__ = ("_by_id",)

    def __init__(self) -> None:
        self._by_id: WeakValueDictionary[str, GroupHandle] = WeakValueDictionary()

    def of(self, group_id: str) -> GroupHandle:
        """The handle on this group, a new one if there is none."""
        handle = self._by_id.get(group_id)
        if handle is None:
            handle = self._by_id[group_id] = GroupHandle(group_id)
        return handle

    def note(self, status: GroupStatus) -> GroupHandle | None:
        """The status of a group was told; the handle on it, if somebody holds one."""
        handle = self._by_id.get(status.group_id)
        if handle is not None:
            handle.note(status)
        return handle

    async def look_up(self, get_group: Callable[[str], Awaitable[GroupStatus]]) -> None:
        """What became of members may have been missed: ask for each group that the EMS has and that is not over."""
        for handle in list(self._by_id.values()):
            if handle.status is not None and not handle.status.finished:
                try:
                    handle.note(await get_group(handle.group_id))
                except CallRefusedError as error:
                    handle.fail(error)

    def refuse(self, group_id: str, error: Exception) -> None:
        """The group was refused, or its fate cannot be found out."""
        handle = self._by_id.get(group_id)
        if handle is not None:
            handle.fail(error)

    def fail(self, error: Exception) -> None:
        """There will be no more events."""
        for handle in list(self._by_id.values()):
            handle.fail(error)
