"""For the person on call: what is wrong with a store in PostgreSQL, how large it is, what can be mended by machine."""
