"""Where the long-running commands log to: standard error, in the way of the journal when it reads that."""

import logging
import os
import sys

_LEVELS = {"CRITICAL": 2, "ERROR": 3, "WARNING": 4, "INFO": 6, "DEBUG": 7}
"""Priorities of syslog(3), which journald reads from the start of a line (sd-daemon(3))."""


class _JournalFormatter(logging.Formatter):
    """Lines for journald: the priority first; time and process are the journal's own."""

    def format(self, record: logging.LogRecord) -> str:
        lines = super().format(record).split("\n")
        return "\n".join(f"<{_LEVELS.get(record.levelname, 6)}>{line}" for line in lines)


def log_to_stderr(*, verbose: bool) -> None:
    """Log what happens, or more; libraries only say what went wrong."""
    handler = logging.StreamHandler(sys.stderr)
    if "JOURNAL_STREAM" in os.environ:
        handler.setFormatter(_JournalFormatter("%(threadName)s: %(message)s"))
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(threadName)s: %(message)s"))
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler])
    for chatty in ("botocore", "boto3", "urllib3", "watchdog", "s3transfer"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
