"""What the copy of a table depends on in its rows: read of every table at once, before anything is drawn up."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from authstore.mover.auth.addresses import Addresses, read_addresses, read_identifiers
from authstore.mover.auth.draft import Fields
from authstore.mover.auth.json_data import doubtful_json
from authstore.mover.auth.shut_out import ShutOut, shut_out
from authstore.mover.catalog import SourceColumn
from authstore.mover.copies import Role
from authstore.mover.names import quote
from authstore.mover.options import MoveOptions
from authstore.mover.postgres.asking import Asking
from authstore.mover.storable import is_storable_json

_NO_ADDRESSES = Addresses("NULL::text")
_ADDRESSES: dict[Role, tuple[str, Callable[[str, str], Asking[Addresses]]]] = {
    "users": ("email", read_addresses),
    "verification_tokens": ("identifier", read_identifiers),
}


@dataclass(frozen=True, slots=True)
class Facts:
    """Of one recognised table. `kept`: the columns that live on in `data`. `unstorable`: by column of JSON, the rows
    whose text nothing could read again."""

    shut: ShutOut = field(default_factory=ShutOut)
    addresses: Addresses = _NO_ADDRESSES
    kept: tuple[SourceColumn, ...] = ()
    unstorable: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unseen: tuple[str, ...] = ()  # predicates: what no row holds that was looked at


def read_facts(fields: Fields, options: MoveOptions, judged: str) -> Asking[Facts]:
    """The facts of a table. `judged`: the moment at which it counts whether a row is shut out."""
    addresses = _NO_ADDRESSES
    if fields.one.role in _ADDRESSES:
        name, read = _ADDRESSES[fields.one.role]
        addresses = yield from read(fields.text(name), fields.source_from())
    shut = yield from shut_out(fields, judged)
    kept = fields.kept(options.secrets)
    unstorable = yield from _unstorable(fields, kept)
    unseen = (addresses.unseen, *shut.unseen, *doubtful_json(kept, fields.alias).values())
    return Facts(shut, addresses, kept, unstorable, tuple(where for where in unseen if where != "FALSE"))


def _unstorable(fields: Fields, kept: Sequence[SourceColumn]) -> Asking[dict[str, tuple[str, ...]]]:
    found = {}
    for name, doubtful in doubtful_json(kept, fields.alias).items():
        statement = (
            f"SELECT {fields.identity}, {fields.alias}.{quote(name)}::text FROM {fields.source_from()} WHERE {doubtful}"
        )
        bad = [identity for identity, text in (yield statement) if not is_storable_json(text)]
        if bad:
            found[name] = tuple(bad)
    return found
