"""The password of the session: from the environment, from a file that is nobody else's to read, or from a command.

Asked once, at the start, by `app.py`. Invariant: an error names where the secret should have come from, never what was
found there.
"""

import asyncio
import os
import stat
from pathlib import Path

from broker_adapters.fix.limits import SECRET_COMMAND_SECONDS_MAX
from pitline_rpc.errors import StartupError


class SecretError(StartupError):
    """The password cannot be had as it was configured."""


async def password(variable: str | None, file: Path | None, command: list[str] | None) -> str:
    """The password of whichever is not None; "" when the session needs none. Raises SecretError."""
    if variable is not None:
        return _one_line(os.environ.get(variable, ""), f"password_variable {variable}")
    if file is not None:
        return _from_file(file)
    return await _from_command(command) if command else ""


def _from_file(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            found = os.fstat(opened.fileno())
            if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                mode = stat.S_IMODE(found.st_mode)
                raise SecretError(f"password_file {file}: mode {mode:04o} lets others at it; chmod 600 {file}")
            if found.st_uid != os.geteuid():
                raise SecretError(f"password_file {file}: belongs to user {found.st_uid}, not to this process's")
            text = opened.read().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise SecretError(f"password_file {file}: {type(error).__name__}") from None
    return _one_line(text, f"password_file {file}")


async def _from_command(command: list[str]) -> str:
    try:
        program = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    except OSError as error:
        raise SecretError(f"password_command {command[0]}: {error.strerror}") from None
    try:
        async with asyncio.timeout(SECRET_COMMAND_SECONDS_MAX):
            output, _ = await program.communicate()
    except TimeoutError:
        program.kill()
        await program.wait()
        raise SecretError(f"password_command {command[0]}: no end in {SECRET_COMMAND_SECONDS_MAX:g} s") from None
    if program.returncode:
        raise SecretError(f"password_command {command[0]}: exit code {program.returncode}")
    return _one_line(output.decode(errors="replace"), f"password_command {command[0]}")


def _one_line(text: str, where: str) -> str:
    line = text.removesuffix("\n").removesuffix("\r")
    if not line or not line.isprintable():
        raise SecretError(f"{where}: not one line of text")
    return line
