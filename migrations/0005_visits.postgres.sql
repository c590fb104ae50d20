-- 0005 visits: what a site keeps for a browser before anybody signs in, and beside it. Nobody's, so no event tells of it.

CREATE TABLE visits (
    id text COLLATE "C" NOT NULL PRIMARY KEY CHECK (id <> ''),
    token_hash bytea NOT NULL CHECK (length(token_hash) = 32),
    token_indexed boolean NOT NULL DEFAULT false,
    expires timestamptz NOT NULL,
    expires_asked timestamptz,
    created_at timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL,
    data json NOT NULL DEFAULT '{}' CHECK (json_typeof(data) = 'object')
);
CREATE UNIQUE INDEX visits_token_hash ON visits (token_hash) WHERE token_indexed;

-- A page of a user's sessions, which begins with the newest, is read where it stands, however many the user has. The old
-- index goes last: whoever reads would wait for it from then on.
ALTER INDEX sessions_user_id RENAME TO sessions_user_id_before;
CREATE INDEX sessions_user_id ON sessions (user_id, created_at, id);
DROP INDEX sessions_user_id_before;
