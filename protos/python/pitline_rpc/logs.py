"""Structured logs of a process: one line an event on stderr, readable on a terminal, JSON everywhere else.

Modules log with `structlog.stdlib.get_logger(__name__)`, the event as a snake_case word and facts as keys; what
libraries say through `logging` comes out in the same shape.
"""

import logging
import sys

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

LEVEL = logging.INFO


def configure(service: str, json: bool | None = None) -> None:
    """Set up the logs of this process, once, in its `__main__`.

    `service` stands in every line. `json` chooses the form; None takes JSON unless stderr is a terminal. Times are UTC,
    ISO 8601.
    """

    def add_service(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        event.setdefault("service", service)
        return event

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_service,
    ]
    as_json = not sys.stderr.isatty() if json is None else json
    sink = logging.StreamHandler(sys.stderr)
    sink.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *(_json_lines() if as_json else _terminal()),
            ],
        )
    )
    logging.basicConfig(handlers=[sink], level=LEVEL, force=True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def _json_lines() -> list[Processor]:
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]


def _terminal() -> list[Processor]:
    # Plain tracebacks: the rich ones print local variables, and with them whatever a client sent.
    return [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
