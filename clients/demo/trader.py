"""The process of one trader: `trader.py PART ADDRESS SYMBOL SYMBOL [JOURNAL_ID SEQ]`, started by `stage.py`.

Tells the stage what it says and hears on standard output, takes cues from standard input, and ends with the part. With
a resume token it attends from there.
"""

import asyncio
import sys

from desk import Desk
from script import PARTS, Part

from pitline_client import ResumeToken, connect


async def attend(part: Part, address: str, symbols: tuple[str, str], resume: ResumeToken | None) -> None:
    """Play the part. Whatever fails in it comes out of here."""
    stage = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stage), sys.stdin)
    async with asyncio.TaskGroup() as tasks:
        async with connect(address, part.client_id, resume=resume) as client:
            desk = Desk(client, part.account, symbols, await client.list_instruments())
            tasks.create_task(desk.hear())  # ends after the client has left
            cues = tasks.create_task(desk.take_cues(stage))
            await part.play(desk)
        cues.cancel()


def main() -> None:
    """Play the part that the command line names."""
    name, address, first, second, *token = sys.argv[1:]
    resume = ResumeToken(token[0], int(token[1])) if token else None
    asyncio.run(attend(PARTS[name], address, (first, second), resume))


if __name__ == "__main__":
    main()
