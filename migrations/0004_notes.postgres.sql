-- 0004 notes: what whoever looks after the store leaves for the next look, each under a name: the last backup, the sizes
-- that a later look is compared with.

CREATE TABLE authstore_notes (
    name text COLLATE "C" NOT NULL PRIMARY KEY CHECK (name <> ''),
    at timestamptz NOT NULL,
    data json NOT NULL DEFAULT '{}' CHECK (json_typeof(data) = 'object')
);
