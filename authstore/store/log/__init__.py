"""The change log: who acts, what is noted, how long it is kept."""
