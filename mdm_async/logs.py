"""What the server tells of itself: one line an event on standard error, with the request's id."""

import logging
import sys
from contextvars import ContextVar
from functools import partial

import structlog

from mdm_async.settings import LogSettings

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""Of the request being served, if there is one."""


def configure(settings: LogSettings, process: str | None = None) -> None:
    """Everything goes through structlog; libraries' own messages below warnings are dropped. `process`: which one of
    several that are a server together, told with each line.

    A library's record is shown without its arguments' exception: tracebacks may hold what users typed.
    """
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    render: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if settings.format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            _with_request_id,
            *([partial(_with_process, process)] if process is not None else []),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[_Libraries()], level=logging.WARNING, force=True)


def _with_request_id(
    logger: object, method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    if (current := request_id.get()) is not None:
        event["request_id"] = current
    return event


def _with_process(
    process: str, logger: object, method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    event["process"] = process
    return event


class _Libraries(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        kind = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        structlog.get_logger().warning("library", logger=record.name, kind=kind)
