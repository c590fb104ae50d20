"""How a row finds its user: the target's user id, and whether there is such a user at all."""

from dataclasses import dataclass

from authstore.mover.auth.draft import Fields
from authstore.mover.catalog import SourceColumn
from authstore.mover.copies import Reject, UserChanges
from authstore.mover.names import quote, relation
from authstore.mover.postgres.statements import is_any, json_map
from authstore.mover.postgres.values import key_text
from authstore.mover.recognition.aliases import column_named
from authstore.mover.recognition.recognised import Recognised
from authstore.mover.type_names import INTEGERS, TEXTS


@dataclass(frozen=True, slots=True)
class UserLink:
    """`orphan`: predicate, never null; "FALSE" where the source itself rules it out. `source_id`: before merging."""

    source_id: str
    user_id: str
    orphan: str
    changes: UserChanges

    @property
    def rejects(self) -> tuple[Reject, ...]:
        """Rows without a user, and those whose user is rejected."""
        orphans = [] if self.orphan == "FALSE" else [Reject("orphan", self.orphan, "on_orphan", "user id")]
        groups: dict[tuple[str, str], list[str]] = {}
        for user in self.changes.gone:
            groups.setdefault(self.changes.reasons[user], []).append(user)
        return (
            *orphans,
            *(
                Reject(reason, is_any(self.source_id, ids), decision, follows=True)
                for (reason, decision), ids in groups.items()
            ),
        )


def link_to_user(child: Fields, users: Recognised, changes: UserChanges) -> UserLink:
    """The link of a table whose field `user_id` refers to a user, by its foreign key or else by the users' id."""
    column, value = child.column("user_id"), child.ref("user_id")
    referred, certain = _referred(child, users)
    match = _equal(column, value, referred, f"u.{quote(referred.name)}")
    found = f"EXISTS (SELECT FROM {relation(users.table, 'u')} WHERE {match})"
    source_id = _source_id(column, value, referred)
    if referred.name != users.fields["id"]:
        own = key_text(column_named(users.table, users.fields["id"]), f"u.{quote(users.fields['id'])}").sql
        source_id = f"(SELECT {own} FROM {relation(users.table, 'u')} WHERE {match})"
    missing = "" if certain else f" OR NOT {found}"
    orphan = "FALSE" if certain and not column.nullable else f"({value} IS NULL{missing})"
    return UserLink(source_id, _merged(source_id, changes), orphan, changes)


def _referred(child: Fields, users: Recognised) -> tuple[SourceColumn, bool]:
    """The users' column that is referred to, and whether a foreign key vouches for every row."""
    own = child.column("user_id").name
    for reference in child.table.references:
        if reference.columns == (own,) and reference.table == (users.table.schema, users.table.name):
            return column_named(users.table, reference.target_columns[0]), reference.validated
    return column_named(users.table, users.fields["id"]), False


def _source_id(column: SourceColumn, value: str, referred: SourceColumn) -> str:
    sql = key_text(column, value).sql
    return f"lower({sql})" if referred.base == "uuid" and column.base in TEXTS else sql


def _equal(column: SourceColumn, value: str, other: SourceColumn, its: str) -> str:
    if column.base == other.base or {column.base, other.base} <= INTEGERS:
        return f"{its} = {value}"
    return f"{key_text(other, its).sql} = {_source_id(column, value, other)}"


def _merged(source_id: str, changes: UserChanges) -> str:
    if not changes.merged:
        return source_id
    return f"COALESCE({json_map(changes.merged)} ->> ({source_id}), {source_id})"
