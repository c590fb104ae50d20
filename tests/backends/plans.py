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
