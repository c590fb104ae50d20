"""What `doctor` can find. An id never changes its meaning; docs/doctor.md tells more of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

Level = Literal["error", "warning", "info"]
LEVELS: tuple[Level, ...] = ("error", "warning", "info")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be.

    id: what it is, for good (`authstore.W014`). level: "error" (people cannot sign in, or data is or may be lost),
    "warning" (it may come to that), "info". detail: what is the case here. remedy: what mends it. fixable: whether
    `fix=True` does; fixed: whether it did.
    """

    id: str
    level: Level
    title: str
    detail: str
    remedy: str
    fixable: bool
    fixed: bool = False


class Kind(NamedTuple):
    """What all findings of one id have in common."""

    id: str
    level: Level
    title: str
    remedy: str
    fixable: bool


def _by_hand(id: str, level: Level, title: str, remedy: str) -> Kind:
    return Kind(id, level, title, remedy, fixable=False)


def _by_machine(id: str, level: Level, title: str, remedy: str) -> Kind:
    return Kind(id, level, title, remedy, fixable=True)


KINDS: Mapping[str, Kind] = {
    "missing": _by_hand(
        "authstore.E001",
        "error",
        "There is no store",
        "look at the URL; make one by `authstore init URL`, or put a backup back by `authstore restore FILE URL`",
    ),
    "foreign": _by_hand(
        "authstore.E002", "error", "It is no store of authstore's", "look at the URL; nothing there was touched"
    ),
    "damaged": _by_hand(
        "authstore.E003", "error", "The file is damaged", "stop all who use it, then `authstore restore FILE URL`"
    ),
    "unreachable": _by_hand(
        "authstore.E004", "error", "It cannot be opened", "look at the URL, the server, and the rights of this role"
    ),
    "locked": _by_hand(
        "authstore.E005", "error", "Somebody keeps it locked", "end the process or the transaction that is named"
    ),
    "read-only": _by_machine(
        "authstore.E006",
        "error",
        "It cannot be written",
        "give file and folder to who runs the application",
    ),
    "unknown-schema": _by_hand(
        "authstore.E007",
        "error",
        "Its schema is not one that this version knows",
        "install the authstore that wrote it, or a newer one",
    ),
    "old-schema": _by_hand("authstore.W008", "warning", "Its schema is behind", "`authstore migrate URL`"),
    "missing-table": _by_hand(
        "authstore.E009",
        "error",
        "A table or a column is missing",
        "`authstore restore FILE URL`: a backup has what was dropped",
    ),
    "missing-index": _by_machine(
        "authstore.W010",
        "warning",
        "An index is missing",
        "`authstore doctor URL --fix` makes it again",
    ),
    "missing-trigger": _by_machine(
        "authstore.W011",
        "warning",
        "A trigger is missing: changes go unnoted",
        "`authstore doctor URL --fix` makes it again; then restart what has the store open",
    ),
    "orphans": _by_hand(
        "authstore.E012",
        "error",
        "Rows belong to something that is gone",
        "delete them: `DELETE FROM … WHERE user_id NOT IN (SELECT id FROM users)`",
    ),
    "unreadable": _by_hand(
        "authstore.E013",
        "error",
        "Rows cannot be read",
        "mend or delete the rows that are named, by SQL; then look again",
    ),
    "long-log": _by_machine(
        "authstore.W014",
        "warning",
        "The log is long",
        "end the long read of the process that is named; then `authstore doctor URL --fix`",
    ),
    "journal-mode": _by_machine(
        "authstore.W015",
        "warning",
        "Readers wait for writers: the journal mode is not WAL",
        "`authstore doctor URL --fix`; opening the store sets it too",
    ),
    "file-mode": _by_machine(
        "authstore.W016",
        "warning",
        "Others may read the file",
        "`chmod 600` the file and its logs, or `authstore doctor URL --fix`",
    ),
    "folder-mode": _by_machine(
        "authstore.W017",
        "warning",
        "Anybody may write in the folder",
        "`chmod o-w` the folder, or `authstore doctor URL --fix`",
    ),
    "network": _by_hand(
        "authstore.E018", "error", "It is on a network file system", "move it to a local disk, or use PostgreSQL"
    ),
    "shared-volume": _by_hand(
        "authstore.W019",
        "warning",
        "It is on a file system that shares badly",
        "use it from one machine alone, or move it to a local disk",
    ),
    "mounted-alone": _by_hand(
        "authstore.W020",
        "warning",
        "The file is mounted without its folder",
        "mount the folder: its log belongs beside it",
    ),
    "wal-reset": _by_hand(
        "authstore.I021",
        "info",
        "This SQLite can damage a file whose log is written back while somebody commits",
        "a Python with SQLite 3.51.3, 3.50.7, 3.44.6 or newer; until then only authstore should write to the file",
    ),
    "relaxed": _by_hand(
        "authstore.I022",
        "info",
        "A power cut may take the last moments",
        "open it with durability='full', the default, unless that is meant",
    ),
    "no-foreign-keys": _by_machine(
        "authstore.W023",
        "warning",
        "Foreign keys are not enforced",
        "`ops.doctor(store, fix=True)`; whoever switched them off should not",
    ),
    "dead-rows": _by_machine(
        "authstore.W024",
        "warning",
        "Dead sessions and tokens pile up",
        "`authstore prune URL`, every day; `Auth` does it by itself",
    ),
    "duplicate-address": _by_hand(
        "authstore.E025",
        "error",
        "Two users have the same address",
        "look who they are (`authstore users show ID`), then change or delete one",
    ),
    "odd-address": _by_hand(
        "authstore.W026",
        "warning",
        "An address is not in its canonical form: nobody finds its user by it",
        "write it again: `await store.update_user(id, email=address)`",
    ),
    "old-key": _by_hand(
        "authstore.W027",
        "warning",
        "Provider tokens are plain or under an older key",
        "`await store.rekey()`; only then leave the older key out",
    ),
    "unknown-key": _by_hand(
        "authstore.E028",
        "error",
        "Provider tokens are under a key that was not given",
        "add the key to keys=, or `await store.forget_unreadable()`",
    ),
    "clock": _by_hand(
        "authstore.W029",
        "warning",
        "The clock is behind what was written last",
        "set the clock of this machine (NTP); sessions live too long meanwhile",
    ),
    "no-backup": _by_hand(
        "authstore.W030", "warning", "There is no recent backup", "`authstore backup URL FILE --keep 7`, every day"
    ),
    "litestream": _by_hand(
        "authstore.I031",
        "info",
        "Litestream copies a file whose log the store writes back itself",
        "try what it made now and then: `authstore drill FILE`; if it is gone, drop its tables",
    ),
    "litestream-behind": _by_hand(
        "authstore.W047",
        "warning",
        "Litestream no longer copies",
        "start it again, and look at what it says; until then `authstore backup URL FILE`",
    ),
    "no-statistics": _by_machine(
        "authstore.I032",
        "info",
        "The query planner has no statistics",
        "`authstore doctor URL --fix` runs ANALYZE",
    ),
    "lost-file": _by_hand(
        "authstore.E033",
        "error",
        "The file is gone, its log is there",
        "put the file back where it was before anybody opens it; else `authstore restore FILE URL`",
    ),
    "asynchronous": _by_hand(
        "authstore.I040",
        "info",
        "The server acknowledges writes that a crash may take back, unless it is asked not to",
        "`ALTER DATABASE … SET synchronous_commit = on`; authstore asks by itself",
    ),
    "no-standby": _by_hand("authstore.I041", "info", "No other server has a copy", "a standby: docs/scaling.md"),
    "bloat": _by_machine(
        "authstore.W042",
        "warning",
        "Tables are full of dead rows",
        "`VACUUM (ANALYZE)`, and autovacuum on",
    ),
    "connections": _by_hand(
        "authstore.W043",
        "warning",
        "The server has few connections left",
        "a smaller pool_size=, a higher max_connections, or pgbouncer",
    ),
    "slot": _by_hand(
        "authstore.W044",
        "warning",
        "A replication slot of ours is left over, and keeps the server's log",
        "`authstore follow SOURCE TARGET --drop`, or `SELECT pg_drop_replication_slot('…')`, unless `follow` goes on",
    ),
    "guarded": _by_hand(
        "authstore.W046",
        "warning",
        "Tables refuse every write since a cut-over",
        "none where the application has moved; else `authstore follow SOURCE TARGET --reopen`",
    ),
    "unflushed": _by_hand(
        "authstore.I045",
        "info",
        "The server does not flush to its disk: a crash of its machine can lose everything",
        "`fsync = on`, `full_page_writes = on` in postgresql.conf; off is for tests alone",
    ),
}
