"""For the person on call: what is wrong with a store in SQLite, how large it is, and what can be mended by machine."""
