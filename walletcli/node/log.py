"""Structured logs: one JSON object per line on stderr, without clients' addresses, keys or bodies."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final, TextIO

LOGGER: Final = logging.getLogger("walletcli.node")


class JsonFormatter(logging.Formatter):
    """Formats a record as ``{"time", "level", "event", …}``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, object] = {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "event": record.getMessage() if record.name.startswith("walletcli") else f"{record.name}.log",
        }
        line.update(getattr(record, "fields", {}))
        return json.dumps(line, ensure_ascii=True, default=str)


def bug(event: str, failure: BaseException, **fields: object) -> None:
    """Log an error that nobody foresaw, by type and place: its text or traceback could hold what a client sent."""
    trace = failure.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}" if trace is not None else ""
    LOGGER.error(event, extra={"fields": {"error": type(failure).__name__, "at": place, **fields}})


def start_logging(stream: TextIO | None = None) -> None:
    """Send this process's logs to `stream` (stderr if None) as JSON lines."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    LOGGER.setLevel(logging.INFO)


def info(event: str, **fields: object) -> None:
    """Log something that happened, such as ``node.ready``."""
    LOGGER.info(event, extra={"fields": fields})


def warning(event: str, **fields: object) -> None:
    """Log something that the operator should look at."""
    LOGGER.warning(event, extra={"fields": fields})


def error(event: str, **fields: object) -> None:
    """Log something that keeps the node from its work."""
    LOGGER.error(event, extra={"fields": fields})
