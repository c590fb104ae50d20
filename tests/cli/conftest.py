"""Every test of the command line may ask for a fresh PostgreSQL database."""

from tests.postgres import postgres_url, source, source_url

__all__ = ["postgres_url", "source", "source_url"]
