"""The target's side: the only room that speaks to SQLite."""
