"""For all tests: one PostgreSQL server, a fresh database for whoever asks."""

import signal

from tests.postgres import postgres_url, source, source_url

__all__ = ["postgres_url", "source", "source_url"]

# A shell that starts the tests in the background has their keyboard's interrupt ignored, and programs that they start
# inherit that; some tests are about just this signal.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
