"""Tables are read ahead of their turn, by as many connections as there are, and nothing that was begun stays open."""

from contextlib import closing
from typing import Any

from authstore.mover.reading_ahead import read_tables_ahead


class Reading:
    """Writes down when it begins and ends."""

    def __init__(self, log: list[str], table: str, link: Any) -> None:
        self.log, self.name = log, f"{table} by {link}"
        log.append(f"begin {self.name}")

    def close(self) -> None:
        self.log.append(f"close {self.name}")


def test_as_many_are_begun_as_there_are_links_and_each_link_reads_one_at_a_time() -> None:
    log: list[str] = []
    links: Any = [1, 2]
    with closing(read_tables_ahead("abc", links, lambda table, link: Reading(log, table, link))) as turns:
        for table, _, link in turns:
            log.append(f"use {table} by {link}")
    assert log == [
        "begin a by 1", "begin b by 2", "use a by 1", "close a by 1",
        "begin c by 1", "use b by 2", "close b by 2", "use c by 1", "close c by 1",
    ]  # fmt: skip


def test_what_was_begun_is_closed_when_its_turn_never_comes() -> None:
    log: list[str] = []
    links: Any = [1, 2, 3]
    with closing(read_tables_ahead("abcd", links, lambda table, link: Reading(log, table, link))) as turns:
        next(turns)
    assert [line for line in log if line.startswith("close")] == ["close a by 1", "close b by 2", "close c by 3"]


def test_of_no_tables_nothing_is_read() -> None:
    assert list(read_tables_ahead([], [], lambda table, link: Reading([], table, link))) == []
