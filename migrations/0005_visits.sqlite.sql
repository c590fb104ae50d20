-- 0005 visits: what a site keeps for a browser before anybody signs in, and beside it. Nobody's, so no event tells of it.

PRAGMA user_version = 5;

CREATE TABLE visits (
    id TEXT NOT NULL PRIMARY KEY CHECK (id <> ''),
    token_hash BLOB NOT NULL CHECK (length(token_hash) = 32),
    token_indexed INTEGER NOT NULL DEFAULT 0 CHECK (token_indexed IN (0, 1)),
    expires TEXT NOT NULL CHECK (expires GLOB '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'),
    expires_asked TEXT CHECK (expires_asked GLOB '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'),
    created_at TEXT NOT NULL CHECK (created_at GLOB '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'),
    last_used_at TEXT NOT NULL CHECK (last_used_at GLOB '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'),
    data TEXT NOT NULL DEFAULT '{}' CHECK (json_type(data) = 'object')
) STRICT;
CREATE UNIQUE INDEX visits_token_hash ON visits (token_hash) WHERE token_indexed = 1;

-- A page of a user's sessions, which begins with the newest, is read where it stands, however many the user has.
DROP INDEX sessions_user_id;
CREATE INDEX sessions_user_id ON sessions (user_id, created_at, id);
