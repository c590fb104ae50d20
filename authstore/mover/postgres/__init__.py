"""The source's side: the only room that speaks to PostgreSQL."""
