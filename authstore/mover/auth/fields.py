"""The fields of users, accounts, sessions, verification tokens and authenticators: from which column, made how."""

from authstore.email import MAX_LENGTH
from authstore.mover.auth.addresses import Addresses
from authstore.mover.auth.draft import Draft, Fields, Unique
from authstore.mover.auth.draft_builder import DraftBuilder
from authstore.mover.auth.run_times import UNKNOWN
from authstore.mover.auth.user_link import UserLink
from authstore.mover.copies import TargetColumn
from authstore.mover.names import literal, quote
from authstore.mover.postgres import values as field_values
from authstore.mover.postgres.values import derived_id, hash_id, token_hash, token_is_bad
from authstore.mover.type_names import DATES


def users_draft(builder: DraftBuilder) -> Draft:
    """Users. An address that is none is a bad row; nothing, or only spaces, is no address."""
    fields = builder.fields
    user_id = builder.put_key("id").sql
    addresses = builder.facts.addresses
    builder.put("email", "TEXT", addresses.canonical)
    builder.reject("not an e-mail address", addresses.bad, "email")
    created = f"COALESCE({builder.instant('created_at')}, {literal(builder.times.moved)})"
    _put_verified(builder, created)
    builder.put_text("name", "image")
    builder.put("disabled", "INTEGER", f"({builder.facts.shut.where})::int4::int8")
    builder.put_data()
    _put_times(builder, created)
    return Draft(
        fields.one,
        "users",
        fields.source_from(),
        tuple(builder.columns),
        ("id",),
        row_id=user_id,
        identity=fields.identity,
        rejects=tuple(builder.rejects),
        uniques=(
            Unique("id", (user_id,), (fields.one.fields["id"],)),
            Unique("e-mail address", (addresses.canonical,), _as_written(addresses, fields)),
        ),
        order=_oldest_first(fields),
        user=user_id,
        verified=is_verified(fields),
        shown=fields.text("email"),
        noted=builder.facts.shut.problems,
    )


def accounts_draft(builder: DraftBuilder, link: UserLink) -> Draft:
    """Accounts. Without an id of their own they get one made of provider and account id."""
    fields = builder.fields
    provider, own = fields.key("provider"), fields.key("provider_account_id")
    account_id = _put_id(builder, derived_id("account", provider.sql, own.sql))
    builder.put("user_id", "TEXT", link.user_id)
    builder.put_key("provider")
    builder.put_key("provider_account_id")
    kind = fields.column("type") if "type" in fields else None
    said = field_values.account_type(kind, fields.ref("type") if kind else "", provider.sql)
    builder.put("type", "TEXT", said.sql)
    builder.reject("unknown account type", said.bad, "type")
    builder.put_text("access_token", "refresh_token", "id_token", "token_type", "scope", "session_state")
    builder.put("expires_at", "TEXT", builder.instant("expires_at"))
    builder.put_data()
    _put_times(builder, f"COALESCE({builder.instant('created_at')}, {literal(builder.times.moved)})")
    named = tuple(fields.one.fields[name] for name in ("provider", "provider_account_id"))
    return Draft(
        fields.one,
        "accounts",
        fields.source_from(),
        tuple(builder.columns),
        ("id",),
        row_id=account_id,
        identity=fields.identity,
        rejects=tuple(builder.rejects),
        uniques=(*_own_id(fields, account_id), Unique("provider and account id", (provider.sql, own.sql), named)),
        order=_oldest_first(fields),
        user=link.user_id,
        ended=builder.facts.shut.where,
        noted=builder.facts.shut.problems,
    )


def sessions_draft(builder: DraftBuilder, link: UserLink) -> Draft:
    """Sessions. They count as created and last used at the move, so that no idle limit ends them at once."""
    fields = builder.fields
    token = fields.text("token")
    session_id = _put_id(builder, hash_id(token))
    builder.put("token_hash", "BLOB", token_hash(token))
    builder.put("token_indexed", "INTEGER", "1::int8")
    builder.reject("no usable token", token_is_bad(token), "token")
    builder.put("user_id", "TEXT", link.user_id)
    over = builder.put_expiry()
    used = literal(builder.times.used)
    builder.put("created_at", "TEXT", f"{used}::text")
    builder.put("last_used_at", "TEXT", f"{used}::text")
    since = builder.instant("authenticated_at")
    builder.put("authenticated_at", "TEXT", f'COALESCE(LEAST({since} COLLATE "C", {used}), {literal(UNKNOWN)})')
    if "authenticated_at" not in fields:
        builder.columns[-1] = TargetColumn("authenticated_at", "TEXT", f"{literal(UNKNOWN)}::text")
    builder.put_text("ip", "user_agent")
    builder.put_data()
    return Draft(
        fields.one,
        "sessions",
        fields.source_from(),
        tuple(builder.columns),
        ("id",),
        row_id=session_id,
        identity=fields.identity,
        rejects=tuple(builder.rejects),
        uniques=(*_own_id(fields, session_id), Unique("token", (token,), (fields.one.fields["token"],))),
        order=_oldest_first(fields, "authenticated_at"),
        over=over,
        user=link.user_id,
        ended=builder.facts.shut.where,
        noted=builder.facts.shut.problems,
    )


def verification_tokens_draft(builder: DraftBuilder) -> Draft:
    """Verification tokens. An identifier that is an address is made canonical, any other is exact text."""
    fields = builder.fields
    token, raw = fields.text("token"), fields.text("identifier")
    identifier = builder.facts.addresses.canonical
    builder.put("identifier", "TEXT", identifier)
    builder.reject("no identifier", f"COALESCE(length({identifier}), 0) NOT BETWEEN 1 AND {MAX_LENGTH}", "identifier")
    purpose = f"COALESCE(NULLIF({fields.text('purpose')}, ''), 'sign-in')"
    builder.put("purpose", "TEXT", purpose)
    builder.put("token_hash", "BLOB", token_hash(token))
    builder.reject("no usable token", token_is_bad(token), "token")
    over = builder.put_expiry()
    builder.put_data()
    builder.put("created_at", "TEXT", f"COALESCE({builder.instant('created_at')}, {literal(builder.times.moved)})")
    return Draft(
        fields.one,
        "verification_tokens",
        fields.source_from(),
        tuple(builder.columns),
        ("identifier", "purpose", "token_hash"),
        row_id=_row_name(fields, raw, token),
        identity=fields.identity,
        rejects=tuple(builder.rejects),
        uniques=(Unique("identifier and token", (identifier, purpose, token), (fields.one.fields["token"],)),),
        order=_oldest_first(fields),
        over=over,
        shown=raw,
        ended=builder.facts.shut.where,
        noted=builder.facts.shut.problems,
    )


def authenticators_draft(builder: DraftBuilder, link: UserLink) -> Draft:
    """Passkeys."""
    fields = builder.fields
    column, ref = fields.column("credential_id"), fields.ref("credential_id")
    credential = field_values.credential_id(column, ref)
    builder.put("credential_id", "TEXT", credential.sql)
    builder.reject("no credential id", credential.bad, "credential_id")
    builder.put("user_id", "TEXT", link.user_id)
    builder.put_value("public_key", "BLOB", field_values.public_key, "NULL::bytea")
    builder.put_value("counter", "INTEGER", field_values.counter, "0::int8")
    builder.put_value("device_type", "TEXT", field_values.device_type, "NULL::text")
    builder.put_value("backed_up", "INTEGER", field_values.boolean, "0::int8")
    builder.put_value("transports", "TEXT", field_values.transports, "'[]'::text")
    builder.put_text("name")
    builder.put_data()
    builder.put("created_at", "TEXT", f"COALESCE({builder.instant('created_at')}, {literal(builder.times.moved)})")
    builder.put("last_used_at", "TEXT", builder.instant("last_used_at"))
    # base64 of one alphabet with or without padding: the source's own key vouches for bytes only.
    columns = (column.name,) if column.base == "bytea" else ()
    return Draft(
        fields.one,
        "authenticators",
        fields.source_from(),
        tuple(builder.columns),
        ("credential_id",),
        row_id=fields.key("credential_id").sql,
        identity=fields.identity,
        rejects=tuple(builder.rejects),
        uniques=(Unique("credential id", (credential.sql,), columns),),
        order=_oldest_first(fields),
        user=link.user_id,
        ended=builder.facts.shut.where,
        noted=builder.facts.shut.problems,
    )


def _as_written(addresses: Addresses, fields: Fields) -> tuple[str, ...]:
    return (fields.one.fields["email"],) if addresses.as_written else ()


def _put_id(builder: DraftBuilder, made: str) -> str:
    """The row's own id, or what is made for it where it has none."""
    if "id" in builder.fields:
        if not builder.fields.column("id").nullable:
            return builder.put_key("id").sql
        made = f"COALESCE(NULLIF({builder.fields.key('id').sql}, ''), {made})"
    builder.put("id", "TEXT", made)
    return made


def _own_id(fields: Fields, sql: str) -> tuple[Unique, ...]:
    return (Unique("id", (sql,), (fields.one.fields["id"],)),) if "id" in fields else ()


def _row_name(fields: Fields, *parts: str) -> str:
    """What names a row whose own values are secret: its key where it has one of its own."""
    for column in fields.extra:
        if column.name.lower() == "id":
            return field_values.text(column, f"{fields.alias}.{quote(column.name)}").sql
    return derived_id("row", *(f"COALESCE({part}, '')" for part in parts))


def is_verified(fields: Fields) -> str:
    """Predicate, never null: the address of a user is verified."""
    return f"({_verified(fields, literal(UNKNOWN))}) IS NOT NULL"


def _put_verified(builder: DraftBuilder, created: str) -> None:
    builder.put("email_verified", "TEXT", _verified(builder.fields, created))
    found = builder.fields.instant("email_verified")
    if found is None or builder.fields.column("email_verified").base == "bool":
        return
    yes, no = _yes_or_no(builder.fields)
    mere = f" AND NOT {yes} AND NOT {no}" if yes != "FALSE" else ""
    builder.reject("bad date", f"({found.bad}{mere})" if found.bad != "FALSE" else "FALSE", "email_verified")


def _verified(fields: Fields, created: str) -> str:
    """When the address was verified. A mere yes (Better Auth) dates from the creation of the user."""
    found = fields.instant("email_verified")
    if found is None:
        return "NULL::text"
    if fields.column("email_verified").base == "bool":
        return f"CASE WHEN {fields.ref('email_verified')} THEN {created} END"
    yes, no = _yes_or_no(fields)
    return found.sql if yes == "FALSE" else f"CASE WHEN {yes} THEN {created} WHEN NOT {no} THEN {found.sql} END"


def _yes_or_no(fields: Fields) -> tuple[str, str]:
    """Predicates: the field says yes or no and no more, in a column that is not for dates alone."""
    column = fields.column("email_verified")
    if column.base in DATES:
        return "FALSE", "FALSE"
    said = f"lower(btrim({fields.text('email_verified')}))"
    return f"COALESCE({said} IN ('1', 't', 'true'), FALSE)", f"COALESCE({said} IN ('0', 'f', 'false'), FALSE)"


def _put_times(builder: DraftBuilder, created: str) -> None:
    builder.put("created_at", "TEXT", created)
    builder.put("updated_at", "TEXT", f"COALESCE({builder.instant('updated_at')}, {created})")


def _oldest_first(fields: Fields, created: str = "created_at") -> tuple[str, ...]:
    when = fields.instant(created)
    by_time = (f"{when.comparable} NULLS LAST",) if when else ()
    return (*by_time, *fields.by_key)
