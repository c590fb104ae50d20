"""Backups of stores on PostgreSQL: read into a file of SQLite, and put back from one."""
