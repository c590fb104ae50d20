-- 0004 notes: what whoever looks after the store leaves for the next look, each under a name: the last backup, the sizes
-- that a later look is compared with.

PRAGMA user_version = 4;

CREATE TABLE authstore_notes (
    name TEXT NOT NULL PRIMARY KEY CHECK (name <> ''),
    at TEXT NOT NULL CHECK (at GLOB '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'),
    data TEXT NOT NULL DEFAULT '{}' CHECK (json_type(data) = 'object')
) STRICT, WITHOUT ROWID;
