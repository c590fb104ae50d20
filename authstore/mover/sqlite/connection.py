"""A connection to the target, as the rest of the mover knows it."""

import sqlite3

TargetConnection = sqlite3.Connection
