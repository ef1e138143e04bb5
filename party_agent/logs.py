"""How the agent's own log looks: console on a terminal, JSON otherwise, always on stderr."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO, cast

import structlog

from party_agent.log_writer import LogWriter


@contextmanager
def configured(*, level: str, as_json: bool) -> Iterator[LogWriter]:
    """Set up structlog for this process; only the command line does this, once."""
    # Where a parent has closed it there is none, and its number may be another file's by now.
    has_errors = sys.stderr is not None
    descriptor = sys.stderr.fileno() if has_errors else os.open(os.devnull, os.O_WRONLY)
    is_terminal = has_errors and sys.stderr.isatty()
    writer = LogWriter(descriptor)
    try:
        _configure(cast(TextIO, writer), level=level, as_json=as_json or not is_terminal)
        yield writer
    finally:
        writer.close()


def _configure(file: TextIO, *, level: str, as_json: bool) -> None:
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            # As text: structured tracebacks would log local variables, a workload's env among them.
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.WriteLoggerFactory(file),
        cache_logger_on_first_use=True,
    )
