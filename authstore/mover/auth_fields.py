"""The fields of users, accounts, sessions, verification tokens and authenticators: from which column, made how."""

from authstore.email import MAX_LENGTH
from authstore.mover import field_values
from authstore.mover.addresses import Addresses, read_addresses, read_identifiers
from authstore.mover.drafts import Draft, Fields, Unique
from authstore.mover.field_values import derived_id, hash_id, token_hash, token_is_bad
from authstore.mover.moments import UNKNOWN
from authstore.mover.names import literal, quote
from authstore.mover.shapes import TargetColumn
from authstore.mover.sheet import Sheet, Surroundings
from authstore.mover.user_links import UserLink


def users_draft(fields: Fields, around: Surroundings) -> Draft:
    """Users. An address that is none is a bad row; nothing, or only spaces, is no address."""
    sheet = Sheet(fields, around)
    user_id = sheet.put_key("id").sql
    addresses = read_addresses(around.connection, fields.text("email"), fields.source_from())
    sheet.put("email", "TEXT", addresses.canonical)
    sheet.fault("not an e-mail address", addresses.bad, "email")
    created = f"COALESCE({sheet.instant('created_at')}, {literal(around.moments.moved)})"
    _put_verified(sheet, created)
    sheet.put_text("name", "image")
    sheet.put_value("disabled", "INTEGER", field_values.boolean, "0::int8")
    sheet.put_data()
    _put_times(sheet, created)
    return Draft(
        fields.one,
        "users",
        fields.source_from(),
        tuple(sheet.columns),
        ("id",),
        row_id=user_id,
        identity=fields.identity,
        faults=tuple(sheet.faults),
        uniques=(
            Unique("id", (user_id,), (fields.one.fields["id"],)),
            Unique("e-mail address", (addresses.canonical,), _as_written(addresses, fields)),
        ),
        order=_oldest_first(fields),
        user=user_id,
        verified=is_verified(fields),
        shown=fields.text("email"),
    )


def accounts_draft(fields: Fields, link: UserLink, around: Surroundings) -> Draft:
    """Accounts. Without an id of their own they get one made of provider and account id."""
    sheet = Sheet(fields, around)
    provider, own = fields.key("provider"), fields.key("provider_account_id")
    account_id = _put_id(sheet, derived_id("account", provider.sql, own.sql))
    sheet.put("user_id", "TEXT", link.user_id)
    sheet.put_key("provider")
    sheet.put_key("provider_account_id")
    kind = fields.column("type") if "type" in fields else None
    said = field_values.account_type(kind, fields.ref("type") if kind else "", provider.sql)
    sheet.put("type", "TEXT", said.sql)
    sheet.fault("unknown account type", said.bad, "type")
    sheet.put_text("access_token", "refresh_token", "id_token", "token_type", "scope", "session_state")
    sheet.put("expires_at", "TEXT", sheet.instant("expires_at"))
    sheet.put_data()
    _put_times(sheet, f"COALESCE({sheet.instant('created_at')}, {literal(around.moments.moved)})")
    named = tuple(fields.one.fields[name] for name in ("provider", "provider_account_id"))
    return Draft(
        fields.one,
        "accounts",
        fields.source_from(),
        tuple(sheet.columns),
        ("id",),
        row_id=account_id,
        identity=fields.identity,
        faults=tuple(sheet.faults),
        uniques=(*_own_id(fields, account_id), Unique("provider and account id", (provider.sql, own.sql), named)),
        order=_oldest_first(fields),
        user=link.user_id,
    )


def sessions_draft(fields: Fields, link: UserLink, around: Surroundings) -> Draft:
    """Sessions. They count as created and last used at the move, so that no idle limit ends them at once."""
    sheet = Sheet(fields, around)
    token = fields.text("token")
    session_id = _put_id(sheet, hash_id(token))
    sheet.put("token_hash", "BLOB", token_hash(token))
    sheet.put("token_indexed", "INTEGER", "1::int8")
    sheet.fault("no usable token", token_is_bad(token), "token")
    sheet.put("user_id", "TEXT", link.user_id)
    over = _put_expiry(sheet)
    used = literal(around.moments.used)
    sheet.put("created_at", "TEXT", f"{used}::text")
    sheet.put("last_used_at", "TEXT", f"{used}::text")
    since = sheet.instant("authenticated_at")
    sheet.put("authenticated_at", "TEXT", f'COALESCE(LEAST({since} COLLATE "C", {used}), {literal(UNKNOWN)})')
    if "authenticated_at" not in fields:
        sheet.columns[-1] = TargetColumn("authenticated_at", "TEXT", f"{literal(UNKNOWN)}::text")
    sheet.put_text("ip", "user_agent")
    sheet.put_data()
    return Draft(
        fields.one,
        "sessions",
        fields.source_from(),
        tuple(sheet.columns),
        ("id",),
        row_id=session_id,
        identity=fields.identity,
        faults=tuple(sheet.faults),
        uniques=(*_own_id(fields, session_id), Unique("token", (token,), (fields.one.fields["token"],))),
        order=_oldest_first(fields, "authenticated_at"),
        over=over,
        user=link.user_id,
    )


def verification_tokens_draft(fields: Fields, around: Surroundings) -> Draft:
    """Verification tokens. An identifier that is an address is made canonical, any other is exact text."""
    sheet = Sheet(fields, around)
    token, raw = fields.text("token"), fields.text("identifier")
    identifier = read_identifiers(around.connection, raw, fields.source_from()).canonical
    sheet.put("identifier", "TEXT", identifier)
    sheet.fault("no identifier", f"COALESCE(length({identifier}), 0) NOT BETWEEN 1 AND {MAX_LENGTH}", "identifier")
    purpose = f"COALESCE(NULLIF({fields.text('purpose')}, ''), 'sign-in')"
    sheet.put("purpose", "TEXT", purpose)
    sheet.put("token_hash", "BLOB", token_hash(token))
    sheet.fault("no usable token", token_is_bad(token), "token")
    over = _put_expiry(sheet)
    sheet.put_data()
    sheet.put("created_at", "TEXT", f"COALESCE({sheet.instant('created_at')}, {literal(around.moments.moved)})")
    return Draft(
        fields.one,
        "verification_tokens",
        fields.source_from(),
        tuple(sheet.columns),
        ("identifier", "purpose", "token_hash"),
        row_id=_row_name(fields, raw, token),
        identity=fields.identity,
        faults=tuple(sheet.faults),
        uniques=(Unique("identifier and token", (identifier, purpose, token), (fields.one.fields["token"],)),),
        order=_oldest_first(fields),
        over=over,
        shown=raw,
    )


def authenticators_draft(fields: Fields, link: UserLink, around: Surroundings) -> Draft:
    """Passkeys."""
    sheet = Sheet(fields, around)
    column, ref = fields.column("credential_id"), fields.ref("credential_id")
    credential = field_values.credential_id(column, ref)
    sheet.put("credential_id", "TEXT", credential.sql)
    sheet.fault("no credential id", credential.bad, "credential_id")
    sheet.put("user_id", "TEXT", link.user_id)
    sheet.put_value("public_key", "BLOB", field_values.public_key, "NULL::bytea")
    sheet.put_value("counter", "INTEGER", field_values.counter, "0::int8")
    sheet.put_value("device_type", "TEXT", field_values.device_type, "NULL::text")
    sheet.put_value("backed_up", "INTEGER", field_values.boolean, "0::int8")
    sheet.put_value("transports", "TEXT", field_values.transports, "'[]'::text")
    sheet.put_text("name")
    sheet.put_data()
    sheet.put("created_at", "TEXT", f"COALESCE({sheet.instant('created_at')}, {literal(around.moments.moved)})")
    sheet.put("last_used_at", "TEXT", sheet.instant("last_used_at"))
    # base64 of one alphabet with or without padding: the source's own key vouches for bytes only.
    columns = (column.name,) if column.base == "bytea" else ()
    return Draft(
        fields.one,
        "authenticators",
        fields.source_from(),
        tuple(sheet.columns),
        ("credential_id",),
        row_id=fields.key("credential_id").sql,
        identity=fields.identity,
        faults=tuple(sheet.faults),
        uniques=(Unique("credential id", (credential.sql,), columns),),
        order=_oldest_first(fields),
        user=link.user_id,
    )


def _as_written(addresses: Addresses, fields: Fields) -> tuple[str, ...]:
    return (fields.one.fields["email"],) if addresses.as_written else ()


def _put_id(sheet: Sheet, made: str) -> str:
    """The row's own id, or what is made for it where it has none."""
    if "id" in sheet.fields:
        if not sheet.fields.column("id").nullable:
            return sheet.put_key("id").sql
        made = f"COALESCE(NULLIF({sheet.fields.key('id').sql}, ''), {made})"
    sheet.put("id", "TEXT", made)
    return made


def _own_id(fields: Fields, sql: str) -> tuple[Unique, ...]:
    return (Unique("id", (sql,), (fields.one.fields["id"],)),) if "id" in fields else ()


def _row_name(fields: Fields, *parts: str) -> str:
    """What names a row whose own values are secret: its key where it has one of its own."""
    for column in fields.extra:
        if column.name.lower() == "id":
            return field_values.text(column, f"{fields.alias}.{quote(column.name)}").sql
    return derived_id("row", *(f"COALESCE({part}, '')" for part in parts))


def _put_expiry(sheet: Sheet) -> str:
    found = sheet.fields.instant("expires")
    if found is None:
        raise KeyError("expires")
    sheet.put("expires", "TEXT", found.sql)
    sheet.fault("bad date", found.bad, "expires")
    sheet.fault("no expiry", f"NOT ({found.given})", "expires")
    return "" if sheet.around.options.with_expired else found.is_over(sheet.around.moments.judged)


def is_verified(fields: Fields) -> str:
    """Predicate, never null: the address of a user is verified."""
    return f"({_verified(fields, literal(UNKNOWN))}) IS NOT NULL"


def _put_verified(sheet: Sheet, created: str) -> None:
    sheet.put("email_verified", "TEXT", _verified(sheet.fields, created))
    found = sheet.fields.instant("email_verified")
    if found is None or sheet.fields.column("email_verified").base == "bool":
        return
    yes, no = _yes_or_no(sheet.fields)
    mere = f" AND NOT {yes} AND NOT {no}" if yes != "FALSE" else ""
    sheet.fault("bad date", f"({found.bad}{mere})" if found.bad != "FALSE" else "FALSE", "email_verified")


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
    if column.base in ("timestamp", "timestamptz", "date"):
        return "FALSE", "FALSE"
    said = f"lower(btrim({fields.text('email_verified')}))"
    return f"COALESCE({said} IN ('1', 't', 'true'), FALSE)", f"COALESCE({said} IN ('0', 'f', 'false'), FALSE)"


def _put_times(sheet: Sheet, created: str) -> None:
    sheet.put("created_at", "TEXT", created)
    sheet.put("updated_at", "TEXT", f"COALESCE({sheet.instant('updated_at')}, {created})")


def _oldest_first(fields: Fields, created: str = "created_at") -> tuple[str, ...]:
    when = fields.instant(created)
    by_time = (f"{when.comparable} NULLS LAST",) if when else ()
    return (*by_time, *fields.by_key)
