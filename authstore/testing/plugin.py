"""Pytest fixtures of authstore."""
