"""Signing in by a link in a letter."""
