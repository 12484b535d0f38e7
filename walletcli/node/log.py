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
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__  # a traceback's text can hold what a client sent
        return json.dumps(line, ensure_ascii=True, default=str)


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
