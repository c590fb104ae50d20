"""Which way a move goes: the directions, and those that are made of two."""
