"""Handles on groups: what a stream that begins with a snapshot does not tell is asked for."""

import grpc
import pytest

from pitline.ems.v1.event_pb2 import GroupStatus
from pitline.types.v1.reason_pb2 import REASON_UNSPECIFIED
from pitline_client import CallRefusedError
from pitline_client.groups import Groups


async def test_only_groups_that_were_taken_and_are_not_over_are_asked_for() -> None:
    groups = Groups()
    handles = [groups.of(name) for name in ("new", "open", "over", "forgotten")]
    for name in ("open", "forgotten"):
        groups.note(GroupStatus(group_id=name, total=2, pending=2))
    groups.note(GroupStatus(group_id="over", total=1, canceled=1, finished=True))
    asked: list[str] = []

    async def get_group(group_id: str) -> GroupStatus:
        asked.append(group_id)
        if group_id == "forgotten":
            raise CallRefusedError(grpc.StatusCode.NOT_FOUND, REASON_UNSPECIFIED, "no group forgotten")
        return GroupStatus(group_id=group_id, total=2, canceled=2, finished=True)

    await groups.look_up(get_group)
    assert sorted(asked) == ["forgotten", "open"]
    assert (await handles[1].finished()).canceled == 2
    with pytest.raises(CallRefusedError, match="no group forgotten"):
        await handles[3].finished()
    groups.fail(ConnectionError("over"))
    with pytest.raises(ConnectionError):
        await handles[0].finished()
    assert (await handles[2].finished()).canceled == 1
