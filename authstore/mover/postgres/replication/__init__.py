"""The source's log: publication and slot, the stream of keys that comes from it, and the guard at the end."""
