"""What is planned on each database: the named queries, and what the database asks itself when a row goes that others
belong to."""

from authstore.sql import queries

# By whose columns a row is found that belongs to another.
REFERENCES = (
    ("accounts", ("user_id",)),
    ("sessions", ("user_id",)),
    ("authenticators", ("user_id",)),
    ("user_roles", ("user_id",)),
    ("user_roles", ("role_name",)),
    ("role_permissions", ("role_name",)),
    ("role_permissions", ("resource", "action")),
)


def asked(dialect: str) -> dict[str, str]:
    """The text of each, by name."""
    cascades = {
        f"cascade to {table} by {', '.join(columns)}": f"SELECT 1 FROM {table} WHERE "  # names from above
        + " AND ".join(f"{column} = :{column}" for column in columns)
        for table, columns in REFERENCES
    }
    found = {name: getattr(query, dialect) for name, query in vars(queries).items()}
    if dialect == "postgres":
        for further in ("to_change", "whole", "gathered"):
            found |= {f"{name}, {further}": getattr(query, further) for name, query in vars(queries).items()}
    return {name: text for name, text in (found | cascades).items() if text}


# These read a whole table: because it is small and stays so, because somebody on call asked for all of it, or in a
# backup that is put back.
WHOLE_TABLES = {
    "list_roles": {"roles"},
    "list_migrations": {"authstore_migrations"},
    "count_living_sessions": {"sessions"},
    "count_provider_tokens": {"accounts"},
    "delete_sessions_since": {"sessions"},
    "delete_verification_tokens_since": {"verification_tokens"},
    "note_endings_since": {"sessions"},
}

USER, SESSION, ACCOUNT, ROLE, TOKEN, CREDENTIAL = (
    f"(SELECT min({key}) FROM {table})"  # names from here
    for table, key in (
        ("users", "id"),
        ("sessions", "id"),
        ("accounts", "id"),
        ("roles", "name"),
        ("verification_tokens", "id"),
        ("authenticators", "credential_id"),
    )
)
# Plain SQL in the words of both databases that changes one row: triggers and references have plans of their own.
WRITES = (
    f"""INSERT INTO users (id, email, created_at, updated_at)
        SELECT 'new', 'new@example.com', created_at, updated_at FROM users WHERE id = {USER}""",
    f"UPDATE users SET email = 'other@example.com', disabled = true WHERE id = {USER}",
    f"UPDATE users SET id = 'renamed' WHERE id = {USER}",
    f"DELETE FROM users WHERE id = {USER}",
    f"""INSERT INTO sessions (
            id, token_hash, token_indexed, user_id, expires, created_at, last_used_at, authenticated_at)
        SELECT 'new', token_hash, true, user_id, expires, created_at, last_used_at, created_at FROM sessions
        WHERE id = {SESSION}""",
    f"UPDATE sessions SET last_used_at = expires WHERE id = {SESSION}",
    f"UPDATE sessions SET expires = created_at WHERE id = {SESSION}",
    f"""UPDATE sessions SET token_hash = (SELECT token_hash FROM verification_tokens WHERE id = {TOKEN})
        WHERE id = {SESSION}""",
    f"DELETE FROM sessions WHERE id = {SESSION}",
    f"""INSERT INTO accounts (id, user_id, provider, provider_account_id, type, created_at, updated_at)
        SELECT 'new', id, 'gitlab', '1', 'oauth', created_at, updated_at FROM users WHERE id = {USER}""",
    f"UPDATE accounts SET provider = 'gitlab' WHERE id = {ACCOUNT}",
    f"UPDATE accounts SET access_token = 'given' WHERE id = {ACCOUNT}",
    f"DELETE FROM accounts WHERE id = {ACCOUNT}",
    f"""INSERT INTO verification_tokens (identifier, purpose, token_hash, expires, created_at)
        SELECT identifier, 'other', token_hash, expires, created_at FROM verification_tokens WHERE id = {TOKEN}""",
    f"DELETE FROM verification_tokens WHERE id = {TOKEN}",
    f"""INSERT INTO authenticators (credential_id, user_id, public_key, counter, created_at)
        SELECT 'new', user_id, public_key, counter, created_at FROM authenticators
        WHERE credential_id = {CREDENTIAL}""",
    f"DELETE FROM authenticators WHERE credential_id = {CREDENTIAL}",
    "INSERT INTO roles (name) VALUES ('new')",
    f"UPDATE roles SET name = 'other' WHERE name = {ROLE}",
    f"DELETE FROM roles WHERE name = {ROLE}",
    "DELETE FROM permissions WHERE resource = 'thing' AND action = 'read'",
    f"INSERT INTO role_permissions (role_name, resource, action) VALUES ({ROLE}, 'thing', 'write')",
    f"DELETE FROM role_permissions WHERE role_name = {ROLE}",
    f"DELETE FROM user_roles WHERE user_id = {USER}",
)
