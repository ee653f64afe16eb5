"""The stage: an EMS and a paper broker in processes of their own, one more for each trader, and the drop copy.

Built by `run.py`, which has `script.perform` played on it. Invariant: when the block of `set_up` is left, however that
happens, no process that was started here runs, and nothing is left on disk.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc.aio
from drop_copy import DropCopy
from evidence import Attendance
from player import Player
from printing import Transcript
from processes import Running, StageError, running
from script import Cue, Part

from pitline.types.v1.position_pb2 import Position
from pitline_client import Caller, PitlineError, ResumeToken
from pitline_rpc.channel import connect

BROKER = "paper"
"""The broker's name in the EMS's configuration, and so the beginning of its accounts."""

_SEEDED_SYMBOLS = ("BTC-USDT", "AAPL")
_TRADER = Path(__file__).with_name("trader.py")
_START_SECONDS_MAX = 20.0
_ECHO_SECONDS = 1.0
"""A line that is lost is mostly the echo of a process that died. In that time the process itself is missed."""


class Stage:
    """Made by `set_up`: a `script.Theatre`. Every wait ends when a process ends unasked: then `set_up` raises."""

    def __init__(self, exits: AsyncExitStack, tasks: asyncio.TaskGroup, transcript: Transcript) -> None:
        self._exits = exits
        self._tasks = tasks
        self._transcript = transcript
        self._players: dict[str, Player] = {}
        self._cues: defaultdict[Cue, asyncio.Event] = defaultdict(asyncio.Event)
        self._ems_exits = AsyncExitStack()
        self._drop_copy: DropCopy | None = None
        self.broker_address = self.ems_address = ""
        self.symbols = ("", "")
        """What is played: two symbols, or twice the only one."""

    async def open(self, folder: Path, market: str, speed: float) -> None:
        """Start the servers and the drop copy. Raises StageError when one of them does not come up."""
        paper = {
            "PITLINE_PAPER_BIND": "127.0.0.1:0",
            "PITLINE_PAPER_DATA_DIR": str(folder / "paper"),
            "PITLINE_PAPER_MARKET": market,
            "PITLINE_PAPER_PLAYBACK__SPEED": str(speed),
        }
        self.broker_address = await self._serve("paper_broker", paper, self._exits)
        ems = {
            "PITLINE_EMS_BIND": "127.0.0.1:0",
            "PITLINE_EMS_DATA_DIR": str(folder / "ems"),
            f"PITLINE_EMS_BROKERS__{BROKER.upper()}__ADDRESS": self.broker_address,
        }
        await self._exits.enter_async_context(self._ems_exits)
        self.ems_address = await self._serve("ems_service", ems, self._ems_exits)
        async with Caller(self.ems_address, "demo") as caller, _starting("the EMS did not reach the paper broker"):
            channel = await self._ems_exits.enter_async_context(connect(self.ems_address))
            journal_id = (await caller.status()).journal_id
            self._drop_copy = DropCopy(channel, journal_id, self._transcript.happened)
            self._background(self._watch(self._drop_copy), self._ems_exits)
            await self._drop_copy.broker_up()
            known = [instrument.key.symbol for instrument in await caller.list_instruments()]
        self.symbols = (known[0], known[0]) if len(known) == 1 else _SEEDED_SYMBOLS

    # What the play asks for

    @property
    def drop_copy(self) -> DropCopy:
        """See `script.Theatre`."""
        assert self._drop_copy is not None, "not open"
        return self._drop_copy

    async def enter(self, part: Part, resume: ResumeToken | None = None) -> None:
        """See `script.Theatre`."""
        token = [resume.journal_id, str(resume.seq)] if resume else []
        arguments = [str(_TRADER), part.name, self.ems_address, *self.symbols, *token]
        process = await self._start(part.name, arguments, {}, self._exits, spoken_to=True)
        player = self._players[part.name] = Player(part, process, resume, self._transcript)
        self._background(player.listen(self.give), self._exits)
        since = f" with a token: it knows everything up to seq {resume.seq}" if resume else ""
        self._transcript.stage(part.client_id, f"enters as process {process.pid}{since}")
        for cue, given in self._cues.items():
            if given.is_set():
                player.take_cue(cue)

    async def killed(self, part: Part) -> ResumeToken:
        """See `script.Theatre`."""
        player = self._players[part.name]
        token = await player.last_words
        code = await player.process.ended()
        self._transcript.stage(part.client_id, f"is gone without a word to the EMS: the process ended with {code}")
        return token

    async def finished(self, part: Part) -> None:
        """See `script.Theatre`."""
        player = self._players[part.name]
        await player.last_words
        if await player.process.ended() != 0:
            await player.process.fails()
        self._transcript.stage(part.client_id, "leaves")

    def give(self, cue: Cue) -> None:
        """See `script.Theatre`."""
        self._cues[cue].set()
        for player in self._players.values():
            player.take_cue(cue)

    async def given(self, cue: Cue) -> None:
        """See `script.Theatre`."""
        await self._cues[cue].wait()

    # What is left when the play is over

    def attendances(self) -> list[Attendance]:
        """What each process of a trader heard, in order of entrance; only when all have left."""
        return [player.attendance for player in self._players.values()]

    def positions_held(self) -> dict[str, list[Position]]:
        """Positions as each client's last process had them."""
        return {player.part.client_id: player.positions for player in self._players.values()}

    async def close_ems(self) -> None:
        """End the drop copy and the EMS; the broker goes on."""
        await self._ems_exits.aclose()

    # Processes

    async def _serve(self, module: str, settings: Mapping[str, str], exits: AsyncExitStack) -> str:
        address: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def on_log(line: str) -> None:
            # It was told to take any free port, and says which one.
            if '"event": "serving"' in line and not address.done():
                address.set_result(json.loads(line)["address"])

        process = await self._start(module, ["-m", module], settings, exits, on_log=on_log)
        self._background(process.fails(), exits)
        async with _starting(f"{module} did not serve"):
            await address
        self._transcript.stage(module, f"serves at {address.result()} as process {process.pid}")
        return address.result()

    async def _start(
        self,
        name: str,
        arguments: Sequence[str],
        settings: Mapping[str, str],
        exits: AsyncExitStack,
        *,
        spoken_to: bool = False,
        on_log: Callable[[str], None] = lambda line: None,
    ) -> Running:
        process = await exits.enter_async_context(running(name, arguments, settings, spoken_to=spoken_to))
        self._tasks.create_task(process.take_log(on_log))
        return process

    def _background(self, work: Coroutine[None, None, None], exits: AsyncExitStack) -> None:
        """Do it meanwhile; canceled before what was entered earlier is left, so that no end that is asked for fails."""
        exits.callback(self._tasks.create_task(work).cancel)

    async def _watch(self, drop_copy: DropCopy) -> None:
        try:
            await drop_copy.run()
        except grpc.aio.AioRpcError as error:
            await asyncio.sleep(_ECHO_SECONDS)
            raise StageError(f"the drop copy ended: {error.details()}") from error


@asynccontextmanager
async def set_up(market: str, speed: float, transcript: Transcript) -> AsyncGenerator[Stage]:
    """A stage on which the play can begin; `market` and `speed` are those of the paper broker.

    Raises StageError, in a group, when a process does not come up or ends unasked.
    """
    with TemporaryDirectory(prefix="pitline-demo-") as folder:
        async with asyncio.TaskGroup() as tasks, AsyncExitStack() as exits:
            stage = Stage(exits, tasks, transcript)
            try:
                await stage.open(Path(folder), market, speed)
                yield stage
            except (PitlineError, grpc.aio.AioRpcError):
                await asyncio.sleep(_ECHO_SECONDS)
                raise


@asynccontextmanager
async def _starting(otherwise: str) -> AsyncGenerator[None]:
    try:
        async with asyncio.timeout(_START_SECONDS_MAX):
            yield
    except TimeoutError:
        raise StageError(f"{otherwise} within {_START_SECONDS_MAX:g} s") from None
