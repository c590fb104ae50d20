"""The end of following: the target becomes a store like any other, and nothing of ours stays in the source's log."""

from authstore.expiry import utc_now
from authstore.mover.following.follower import Following
from authstore.mover.following.order import Order
from authstore.mover.following.source import opened, refuse_closed, reopen
from authstore.mover.plan import iso
from authstore.mover.postgres.definitions import read_definitions
from authstore.mover.postgres.reading import last_value
from authstore.mover.reports import FollowReport
from authstore.mover.sqlite.building import sequences_note, set_sequence
from authstore.mover.sqlite.errors import translated
from authstore.mover.sqlite.followed import FollowedFile, opened_followed
from authstore.mover.sqlite.ledger import notes_in, options_note
from authstore.mover.sqlite.target_files import locked
from authstore.mover.sync.folding import fold
from authstore.mover.sync.rejects import write_rejects


def finish(following: Following, standstill: float) -> FollowReport:
    """After a good verdict: what a move does at its end."""
    order, target, source, scheme = following.order, following.target, following.source, following.scheme
    options = following.options
    source.view.renew()
    rejected = write_rejects(source.view.main, [copy for copy in scheme.copies if copy.rejects], order.files.rejects)
    definitions = {copy.source: copy.target for copy in scheme.copies}
    found = read_definitions(source.view.main, definitions)
    with target.transaction():
        for copy in scheme.copies:
            target.ledger.set_rejected(copy.target, rejected.get(copy.target, 0))
            if copy.sequence is not None:
                set_sequence(target.connection, copy.target, last_value(source.view.main, copy.sequence[1]))
        target.ledger.set_sources({definitions[at] if at else "": text for at, text in found.items()})
        target.note({**options_note(options), **sequences_note(target.connection), "finished_at": iso(utc_now())})
    source.view.rest()
    report = FollowReport(
        target=str(order.files.target),
        applied=order.applied,
        tables={copy.target: target.count(copy.target) for copy in scheme.copies},
        rejected=sum(rejected.values()),
        standstill=standstill,
    )
    following.log.close()
    source.slot.drop()
    _leave(order, target)  # the last: whoever is killed before runs the same command again
    return report


def _leave(order: Order, target: FollowedFile) -> None:
    """The ledger tells the truth, the store's triggers are there, and the file may be opened for writing."""
    target.make_triggers()
    target.connection.execute("PRAGMA analysis_limit = 1000")  # entries of an index, as SQLite recommends
    target.connection.execute("ANALYZE")
    fold(target.connection, order.tuning.stretch_rows)


def run_drop(order: Order) -> FollowReport:
    """Slot and publication go. The target, if it was followed, is as the source was then, and a moved one like others.

    The source is first: what is left in a target says no more than that it cannot be followed on.
    """
    with translated(), locked(order.files):
        notes = notes_in(order.files.target) if order.files.target.is_file() else {}
        with opened(order, notes.get("following", "")) as source:
            source.view.rest()
            if "following" in notes:
                refuse_closed(source, is_ours=True)
            there = source.slot.drop()
            name = source.slot.name if there else ""
        if "following" in notes:
            with opened_followed(order.files.target) as target:
                _leave(order, target)
    return FollowReport(target=str(order.files.target), dropped=name)


def run_reopen(order: Order) -> FollowReport:
    """Takes the guards off the source's tables; the target stays as it is."""
    with locked(order.files):  # a cut-over at work would end without what is written from now on
        return FollowReport(target=str(order.files.target), reopened=tuple(reopen(order)))
