"""What a column's value becomes in a field of authstore that is no date: SQL for the value and for what is bad.

As in `instants`, nothing here raises on a bad value.
"""

from dataclasses import dataclass

from authstore.mover.catalog import SourceColumn
from authstore.mover.names import literal
from authstore.mover.type_names import INTEGERS, TEXTS
from authstore.tokens import MAX_TOKEN_LENGTH, MIN_TOKEN_LENGTH

_NEVER_EMPTY = INTEGERS | {"uuid", "numeric"}
_PLAIN = TEXTS | _NEVER_EMPTY
_TYPES = "('oauth', 'oidc', 'email', 'webauthn', 'credentials')"


@dataclass(frozen=True, slots=True)
class Value:
    """`sql`: text, int8 or bytea, null where there is nothing or something bad. `bad`: a predicate, never null."""

    sql: str
    bad: str = "FALSE"


def text(column: SourceColumn, value: str) -> Value:
    """The value's text; that of an array is its elements with spaces between (scopes)."""
    if column.category == "A":
        return Value(f"array_to_string({value}, ' ')")
    if column.base in _PLAIN:
        # By bytes: a collation that ignores case knows no regular expressions, and calls different texts equal.
        return Value(f'{value}::text COLLATE "C"' if column.collation else f"{value}::text")
    # The type's own output: a cast adds /32 to an inet.
    return Value(f"CASE WHEN {value} IS NOT NULL THEN concat({value}) END")


def key_text(column: SourceColumn, value: str) -> Value:
    """A text that must be there: ids, providers, names. Bytes as hexadecimal digits."""
    sql = f"encode({value}, 'hex')" if column.base == "bytea" else text(column, value).sql
    missing = [f"{value} IS NULL"] if column.nullable else []
    if column.base not in _NEVER_EMPTY:
        missing.append(f"{sql} = ''")
    return Value(sql, f"({' OR '.join(missing)})" if missing else "FALSE")


def token_hash(sql: str) -> str:
    """SHA-256 of a text: what authstore keeps of a token."""
    return f"sha256(convert_to({sql}, 'UTF8'))"


def derived_id(kind: str, *parts: str) -> str:
    """An id made of what tells the row from others, the same on every run, from which nothing can be read back."""
    joined = f" || {literal(chr(31))} || ".join((literal(kind), *parts))
    return hash_id(joined)


def hash_id(sql: str) -> str:
    """An id made of the first half of a token's hash: who sorts by one has sorted by the other.

    From a hash nobody gets back to a token that could not be guessed. As the rows of moved sessions lie in the order
    of their ids, what SQLite looks up in both their indexes, row by row, is then always near what it had before.
    """
    return f"encode(substr({token_hash(sql)}, 1, 16), 'hex')"


def token_is_bad(sql: str) -> str:
    """Predicate: this text could never be presented as a token, being too short or too long."""
    # Counting characters is slow, counting bytes is not: of a token of usual size only the bytes are counted.
    short = f"octet_length({sql}) < 36 AND length({sql}) < {MIN_TOKEN_LENGTH}"
    long = f"octet_length({sql}) > {MAX_TOKEN_LENGTH} AND length({sql}) > {MAX_TOKEN_LENGTH}"
    return f"({sql} IS NULL OR {short} OR {long})"


def boolean(column: SourceColumn, value: str) -> Value:
    """0 or 1; nothing is 0."""
    if column.base == "bool":
        return Value(f"COALESCE({value}, FALSE)::int4::int8")
    said = f"lower(btrim({text(column, value).sql}))"
    no = f"COALESCE({said}, '') IN ('', 'f', 'false', '0', 'no')"
    sql = f"CASE WHEN {said} IN ('t', 'true', '1', 'yes') THEN 1::int8 WHEN {no} THEN 0::int8 END"
    return Value(sql, f"({sql}) IS NULL")


def counter(column: SourceColumn, value: str) -> Value:
    """A whole number from 0 to 2⁶³ - 1; nothing is 0."""
    if column.base in INTEGERS:
        return Value(f"COALESCE({value}, 0)::int8", f"COALESCE({value} < 0, FALSE)")
    said = f"btrim({text(column, value).sql})"
    whole = f"WHEN {said} ~ '^[0-9]{{1,18}}(\\.0*)?$' THEN split_part({said}, '.', 1)::int8"
    sql = f"CASE WHEN COALESCE({said}, '') = '' THEN 0::int8 {whole} END"
    return Value(sql, f"({sql}) IS NULL")


def account_type(kind: SourceColumn | None, kind_value: str, provider: str) -> Value:
    """One of authstore's account types: what the source says, else by the provider's name (Better Auth)."""
    by_provider = f"CASE WHEN {provider} = 'credential' THEN 'credentials' ELSE 'oauth' END"
    if kind is None:
        return Value(by_provider)
    said = f"lower(btrim({text(kind, kind_value).sql}))"
    plain = text(kind, kind_value).sql
    # The plain comparison spares most rows the rest.
    sql = (
        f"CASE WHEN {plain} IN {_TYPES} THEN {plain} WHEN COALESCE({said}, '') = '' THEN {by_provider} "
        f"WHEN {said} = 'credential' THEN 'credentials' WHEN {said} IN {_TYPES} THEN {said} END"
    )
    return Value(sql, f"({sql}) IS NULL")


def credential_id(column: SourceColumn, value: str) -> Value:
    """Base64url without padding, whatever of base64, base64url or bytes the source has."""
    raw = _decoded(column, value)
    sql = f"translate(encode({raw.sql}, 'base64'), E'+/=\\n', '-_')"
    return Value(sql, f"COALESCE({sql}, '') = ''")


def public_key(column: SourceColumn, value: str) -> Value:
    """The bytes of the key."""
    raw = _decoded(column, value)
    return Value(raw.sql, f"COALESCE(octet_length({raw.sql}), 0) = 0")


def device_type(column: SourceColumn, value: str) -> Value:
    """`single_device` or `multi_device`, as @simplewebauthn's singleDevice or spelled in any way."""
    said = f"lower(translate(btrim({text(column, value).sql}), '_- ', ''))"
    sql = f"CASE {said} WHEN 'singledevice' THEN 'single_device' WHEN 'multidevice' THEN 'multi_device' END"
    return Value(sql, f"COALESCE({said} NOT IN ('', 'singledevice', 'multidevice'), FALSE)")


def transports(column: SourceColumn, value: str) -> Value:
    """A JSON array of words: from an array, a JSON array, or words with commas between."""
    if column.category == "A":
        return Value(f"COALESCE(to_json(array_remove({value}::text[], NULL))::text, '[]')")
    said = f"btrim({text(column, value).sql})"
    word = '"[A-Za-z0-9_-]*"'
    words = f"regexp_split_to_array({said}, ' *, *')"
    sql = (
        f"CASE WHEN COALESCE({said}, '') IN ('', 'null') THEN '[]' "
        f"WHEN {said} ~ '^\\[ *({word}( *, *{word})*)? *\\]$' THEN {said} "
        f"WHEN {said} ~ '^[A-Za-z0-9_-]+( *, *[A-Za-z0-9_-]+)*$' THEN to_json({words})::text END"
    )
    return Value(sql, f"({sql}) IS NULL")


def _decoded(column: SourceColumn, value: str) -> Value:
    """The bytes that base64 of either alphabet stands for; null where it is none."""
    if column.base == "bytea":
        return Value(value)
    standard = f"translate(rtrim(btrim({text(column, value).sql}), '='), '-_', '+/')"
    padded = f"rpad({standard}, (length({standard}) + 3) / 4 * 4, '=')"
    return Value(
        f"CASE WHEN {standard} ~ '^[A-Za-z0-9+/]+$' AND length({standard}) % 4 <> 1 THEN decode({padded}, 'base64') END"
    )
