-- Lucia v3, as its documentation's PostgreSQL page has it, with a GitHub sign-in; written by hand.
CREATE TABLE auth_user (id TEXT PRIMARY KEY, github_id INTEGER UNIQUE, username TEXT NOT NULL);
CREATE TABLE user_session (id TEXT PRIMARY KEY, expires_at TIMESTAMPTZ NOT NULL, user_id TEXT NOT NULL REFERENCES auth_user (id));
INSERT INTO auth_user VALUES ('u1', 42, 'ada');
INSERT INTO user_session VALUES ('s1', '2099-01-01', 'u1');
