"""How the server logs: facts with keys, for people on a terminal and as JSON lines otherwise."""

import logging
import sys

import structlog


def configure(*, level: str, as_json: bool) -> None:
    """Set the log of this process up. Only a process's own entry point calls this."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if as_json or not sys.stderr.isatty()
        else structlog.dev.ConsoleRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
