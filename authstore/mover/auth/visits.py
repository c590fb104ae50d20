"""Visits, from the session stores of other frameworks: connect-pg-simple, Django, Flask-Session, starsessions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from authstore.mover.auth.draft import Draft, Fields, Unique
from authstore.mover.auth.draft_builder import DraftBuilder
from authstore.mover.auth.json_data import doubtful_json
from authstore.mover.auth.shut_out import ShutOut
from authstore.mover.catalog import SourceColumn
from authstore.mover.copies import TargetColumn
from authstore.mover.names import literal, quote
from authstore.mover.postgres.asking import Asking
from authstore.mover.postgres.statements import is_any, json_map, text_array
from authstore.mover.postgres.values import hash_id, text, token_hash, token_is_bad
from authstore.mover.problems import rows_said
from authstore.mover.recognition.aliases import normalised
from authstore.mover.recognition.recognised import Recognised
from authstore.mover.reports import Problem
from authstore.mover.session_data import FLASKS_KEY, UnreadableDataError, data_of_bytes, data_of_text, json_of
from authstore.mover.storable import is_storable_json
from authstore.mover.type_names import INTEGERS, JSONS, TEXTS

_PAGE = 2000  # rows
_DJANGOS_PROOF = "_auth_user_hash"


@dataclass(frozen=True, slots=True)
class ReadVisits:
    """What the rows of a session store say. `unreadable`: by reason, the rows of which no visit can be made.

    `user`: SQL text of the user whom a row names, null for a visitor. `problems`: what speaks against believing it.
    """

    unreadable: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    user: str = "NULL::text"
    problems: tuple[Problem, ...] = ()

    def nobodys(self, shut: ShutOut) -> ShutOut:
        """Which rows sign nobody in: a visitor's, beside those that are shut out."""
        return ShutOut(f"(({self.user}) IS NULL OR {shut.where})", (*shut.problems, *self.problems))


class VisitFields(Fields):
    """The columns of a session store. `user`: SQL text of the user whom a row names."""

    def __init__(self, one: Recognised, zone: str, user: str = "NULL::text") -> None:
        super().__init__(one, zone)
        self._user = user

    def text(self, name: str) -> str:
        """As `Fields.text`; of a key of Flask-Session without its prefix, which the browser's cookie does not have."""
        sql = super().text(name)
        if name == "token" and normalised(self.one.fields["token"]) == FLASKS_KEY:
            return f"regexp_replace({sql}, '^.*:', '')"
        return sql

    def ref(self, name: str) -> str:
        return self._user if name == "user_id" and "user_id" not in self.one.fields else super().ref(name)

    def column(self, name: str) -> SourceColumn:
        """See `Fields.column`; a user who is named in the data has none, and counts as a text."""
        if name == "user_id" and "user_id" not in self.one.fields:
            return replace(
                self.column("token"), name="user_id", type="text", base="text", nullable=True, collation=None
            )
        return super().column(name)

    def kept(self, secrets: str) -> tuple[SourceColumn, ...]:
        """None: what is in `data` is what the site keeps."""
        del secrets
        return ()

    @property
    def is_json(self) -> bool:
        return self.column("data").base in JSONS


def read_visits(one: Recognised, zone: str) -> Asking[ReadVisits]:
    """Looks at every row whose data Postgres itself cannot read, and at doubtful JSON."""
    fields = VisitFields(one, zone)
    if fields.is_json:
        doubtful = yield from _doubtful(fields)
        return ReadVisits({"JSON that cannot be kept": doubtful} if doubtful else {}, _named_in_json(fields))
    unreadable: dict[str, list[str]] = {}
    users: dict[str, str] = {}
    unproved = 0
    decode = _decoder(fields)
    last: str | None = None
    while rows := (yield _page(fields, last)):
        for identity, raw in rows:
            try:
                data = decode(raw)
            except UnreadableDataError as error:
                unreadable.setdefault(str(error), []).append(identity)
                continue
            user = _named(data, one.user_in)
            if user is not None:
                users[identity] = user
                unproved += _DJANGOS_PROOF in data
        last = rows[-1][0]
        if len(rows) < _PAGE or not _is_paged(fields):
            break
    named = f"({json_map(users)} ->> ({fields.identity}))" if users else "NULL::text"
    reasons = {reason: tuple(identities) for reason, identities in unreadable.items()}
    return ReadVisits(reasons, named, _unproved(one, unproved))


def visits_draft(builder: DraftBuilder, read: ReadVisits) -> Draft:
    """Visits. As sessions they count as opened and last used at the move."""
    fields = builder.fields
    token = fields.text("token")
    visit_id = hash_id(token)
    builder.put("id", "TEXT", visit_id)
    builder.put("token_hash", "BLOB", token_hash(token))
    builder.put("token_indexed", "INTEGER", "1::int8")
    builder.reject("no usable token", token_is_bad(token), "token")
    over = builder.put_expiry()
    used = literal(builder.times.used)
    builder.put("created_at", "TEXT", f"{used}::text")
    builder.put("last_used_at", "TEXT", f"{used}::text")
    _put_data(builder, read)
    return Draft(
        fields.one,
        "visits",
        fields.source_from(),
        tuple(builder.columns),
        ("id",),
        row_id=visit_id,
        identity=fields.identity,
        rejects=tuple(builder.rejects),
        uniques=(Unique("token", (token,), _vouched(fields)),),
        order=fields.by_key,
        over=over,
        ended=builder.facts.shut.where,
        noted=builder.facts.shut.problems,
    )


def _put_data(builder: DraftBuilder, read: ReadVisits) -> None:
    fields = builder.fields
    value, base = fields.ref("data"), fields.column("data").base
    if base in JSONS:
        builder.put("data", "TEXT", f"{value}::text")
        kind = f"{base}_typeof({value})"
        builder.reject("no JSON object", f"{kind} IS DISTINCT FROM 'object'", "data")
    elif base == "bytea":
        builder.columns.append(TargetColumn("data", "TEXT", f"encode({value}, 'hex')", decode=_text_of_hex))
    else:
        builder.columns.append(TargetColumn("data", "TEXT", text(fields.column("data"), value).sql, decode=_text_of))
    for reason, identities in read.unreadable.items():
        builder.reject(reason, is_any(fields.identity, identities), "data")


def _text_of(raw: str) -> str:
    return json_of(data_of_text(raw))


def _text_of_hex(raw: str) -> str:
    return json_of(data_of_bytes(bytes.fromhex(raw)))


def _decoder(fields: Fields) -> Callable[[str | None], dict[str, object]]:
    is_bytes = fields.column("data").base == "bytea"

    def decode(raw: str | None) -> dict[str, object]:
        if raw is None:
            raise UnreadableDataError("no data")
        return data_of_bytes(bytes.fromhex(raw)) if is_bytes else data_of_text(raw)

    return decode


def _vouched(fields: Fields) -> tuple[str, ...]:
    column = fields.one.fields["token"]
    return () if normalised(column) == FLASKS_KEY else (column,)


def _doubtful(fields: Fields) -> Asking[tuple[str, ...]]:
    [doubtful] = doubtful_json([fields.column("data")]).values()
    rows = yield f"SELECT {fields.identity}, {fields.ref('data')}::text FROM {fields.source_from()} WHERE {doubtful}"
    return tuple(identity for identity, raw in rows if not is_storable_json(raw))


def _is_paged(fields: Fields) -> bool:
    keys = fields.key_columns
    return len(keys) == 1 and keys[0].base in TEXTS | INTEGERS | {"uuid"}


def _page(fields: Fields, last: str | None) -> str:
    """Rows and their data, as many at once as are no burden, in the order of the key's own index."""
    value = fields.ref("data")
    raw = f"encode({value}, 'hex')" if fields.column("data").base == "bytea" else text(fields.column("data"), value).sql
    select = f"SELECT {fields.identity}, {raw} FROM {fields.source_from()}"
    if not _is_paged(fields):
        return select
    key = f"{fields.alias}.{quote(fields.key_columns[0].name)}"
    where = "" if last is None else f"WHERE {key} > {literal(last)}"
    return f"{select} {where} ORDER BY {key} LIMIT {_PAGE}"


def _named_in_json(fields: VisitFields) -> str:
    if not fields.one.user_in:
        return "NULL::text"
    value = fields.ref("data")
    # A NUL cannot become text, and PostgreSQL stops at one.
    return f"CASE WHEN position('\\u0000' in {value}::text) = 0 THEN {value} #>> {text_array(fields.one.user_in)} END"


def _named(data: Mapping[str, object], path: tuple[str, ...]) -> str | None:
    found: object = data
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    is_id = isinstance(found, str | int) and not isinstance(found, bool)
    return str(found) if path and is_id else None


def _unproved(one: Recognised, count: int) -> tuple[Problem, ...]:
    if not count:
        return ()
    table = f"{one.table.schema}.{one.table.name}"
    message = (
        f"{rows_said(count)} of {table} name a user whom only Django's SECRET_KEY proves ({_DJANGOS_PROOF}: a changed "
        "password ends them): take user_in out of the profile; these users sign in again, and keep their visits"
    )
    return (Problem("secret", table, message, count, decision="profile", stops=True),)
