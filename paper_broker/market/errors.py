"""What can be wrong with a market that a paper broker was told to run."""

from pathlib import Path

from pitline_rpc.errors import StartupError


class MarketError(StartupError):
    """A market that cannot be run: an unknown kind, symbol or file. Says which, and what would do."""


class RecordingError(MarketError):
    """A line of a recording that cannot be played."""

    def __init__(self, path: Path, line_number: int, reason: str) -> None:
        """`line_number` counts from 1."""
        super().__init__(f"{path}, line {line_number}: {reason}")
        self.path = path
        self.line_number = line_number
