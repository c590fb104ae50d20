-- Every query of the store. `:name` is a parameter; text is compared byte for byte. Where only the number of rows
-- written matters, nothing is RETURNING: that costs SQLite a sixth of an insert. What the databases say differently
-- has twins, each after its own line (`dialect: sqlite`, `dialect: postgres`); authstore/sql.py tells what else may follow.

-- ── users ────────────────────────────────────────────────────────────────────────────────────────────────

-- A new user, unless its id or address is taken.
-- name: insert_user
INSERT INTO users (id, email, email_verified, name, image, disabled, data, created_at, updated_at)
VALUES (:id, :email, :email_verified, :name, :image, :disabled, :data, :created_at, :updated_at)
ON CONFLICT DO NOTHING
-- dialect: postgres, whole
WITH gate AS MATERIALIZED (SELECT pg_try_advisory_xact_lock_shared(:gate, 'users'::regclass::oid::int) AS is_open)
INSERT INTO users (id, email, email_verified, name, image, disabled, data, created_at, updated_at)
SELECT :id, :email, :email_verified, :name, :image, :disabled, :data, :created_at, :updated_at
FROM gate WHERE gate.is_open
ON CONFLICT DO NOTHING

-- One user.
-- name: get_user
SELECT * FROM users WHERE id = :id
-- dialect: postgres, to change
SELECT * FROM users WHERE id = :id FOR NO KEY UPDATE

-- One user by canonical address.
-- name: get_user_by_email
SELECT * FROM users WHERE email = :email
-- dialect: postgres, to change
SELECT * FROM users WHERE email = :email FOR NO KEY UPDATE

-- The user who linked an account.
-- name: get_user_by_account
SELECT users.* FROM accounts JOIN users ON users.id = accounts.user_id
WHERE accounts.provider = :provider AND accounts.provider_account_id = :provider_account_id

-- All that can change of a user.
-- name: update_user
UPDATE users
SET email = :email, email_verified = :email_verified, name = :name, image = :image, disabled = :disabled,
    data = :data, updated_at = :updated_at
WHERE id = :id

-- A user, and by the cascades all that hangs on it.
-- name: delete_user
DELETE FROM users WHERE id = :id RETURNING email

-- The same with the verification tokens for its address.
-- name: delete_user_and_tokens
-- dialect: postgres, together
WITH gone AS MATERIALIZED (SELECT id, email FROM users WHERE id = :id FOR UPDATE),
tokens AS (DELETE FROM verification_tokens USING gone WHERE verification_tokens.identifier = gone.email)
DELETE FROM users USING gone WHERE users.id = gone.id

-- A page of users.
-- name: list_users
SELECT * FROM users WHERE id > :after ORDER BY id LIMIT :limit

-- ── accounts ─────────────────────────────────────────────────────────────────────────────────────────────

-- A new account.
-- name: insert_account
INSERT INTO accounts (id, user_id, provider, provider_account_id, type, access_token, access_token_encrypted,
    refresh_token, refresh_token_encrypted, id_token, id_token_encrypted, token_type, scope, session_state,
    expires_at, data, created_at, updated_at)
VALUES (:id, :user_id, :provider, :provider_account_id, :type, :access_token, :access_token_encrypted,
    :refresh_token, :refresh_token_encrypted, :id_token, :id_token_encrypted, :token_type, :scope, :session_state,
    :expires_at, :data, :created_at, :updated_at)

-- Whoever arrives for the first time, for SQLite to make users and accounts of in one statement.
-- name: arrivals
-- dialect: sqlite, opening
CREATE TEMP VIEW arrivals AS SELECT
    NULL AS user_id, NULL AS email, NULL AS email_verified, NULL AS name, NULL AS image, NULL AS id, NULL AS provider,
    NULL AS provider_account_id, NULL AS type, NULL AS access_token, NULL AS access_token_encrypted,
    NULL AS refresh_token, NULL AS refresh_token_encrypted, NULL AS id_token, NULL AS id_token_encrypted,
    NULL AS token_type, NULL AS scope, NULL AS session_state, NULL AS expires_at, NULL AS data, NULL AS created_at,
    NULL AS actor

-- A new user with a new account, unless the account is known, or the id or the address taken; and who does it, and when.
-- name: arrivals_inserted
-- dialect: sqlite, opening
CREATE TEMP TRIGGER arrivals_inserted INSTEAD OF INSERT ON arrivals BEGIN
    SELECT raise(IGNORE) WHERE EXISTS (
        SELECT 1 FROM accounts WHERE provider = NEW.provider AND provider_account_id = NEW.provider_account_id)
        OR EXISTS (SELECT 1 FROM users WHERE id = NEW.user_id) OR EXISTS (SELECT 1 FROM users WHERE email = NEW.email);
    UPDATE change_log SET acting_at = NEW.created_at, actor = NEW.actor;
    INSERT INTO users (id, email, email_verified, name, image, created_at, updated_at)
    VALUES (NEW.user_id, NEW.email, NEW.email_verified, NEW.name, NEW.image, NEW.created_at, NEW.created_at);
    INSERT INTO accounts (
        id, user_id, provider, provider_account_id, type, access_token, access_token_encrypted, refresh_token,
        refresh_token_encrypted, id_token, id_token_encrypted, token_type, scope, session_state, expires_at, data,
        created_at, updated_at)
    VALUES (
        NEW.id, NEW.user_id, NEW.provider, NEW.provider_account_id, NEW.type, NEW.access_token,
        NEW.access_token_encrypted, NEW.refresh_token, NEW.refresh_token_encrypted, NEW.id_token,
        NEW.id_token_encrypted, NEW.token_type, NEW.scope, NEW.session_state, NEW.expires_at, NEW.data,
        NEW.created_at, NEW.created_at);
    UPDATE change_log SET acting_at = NULL, actor = NULL;
END

-- The same for many at once.
-- name: insert_arrivals
-- dialect: sqlite, gathered
INSERT INTO arrivals (
    user_id, email, email_verified, name, image, id, provider, provider_account_id, type, access_token,
    access_token_encrypted, refresh_token, refresh_token_encrypted, id_token, id_token_encrypted, token_type, scope,
    session_state, expires_at, data, created_at, actor)
SELECT
    json_extract(value, '$.user_id'), json_extract(value, '$.email'), json_extract(value, '$.email_verified'),
    json_extract(value, '$.name'), json_extract(value, '$.image'), json_extract(value, '$.id'),
    json_extract(value, '$.provider'), json_extract(value, '$.provider_account_id'), json_extract(value, '$.type'),
    json_extract(value, '$.access_token'),
    substr(:packed, json_extract(value, '$.access_token_encrypted[0]'), json_extract(value, '$.access_token_encrypted[1]')),
    json_extract(value, '$.refresh_token'),
    substr(:packed, json_extract(value, '$.refresh_token_encrypted[0]'), json_extract(value, '$.refresh_token_encrypted[1]')),
    json_extract(value, '$.id_token'),
    substr(:packed, json_extract(value, '$.id_token_encrypted[0]'), json_extract(value, '$.id_token_encrypted[1]')),
    json_extract(value, '$.token_type'), json_extract(value, '$.scope'), json_extract(value, '$.session_state'),
    json_extract(value, '$.expires_at'), json_extract(value, '$.data'), json_extract(value, '$.created_at'),
    json_extract(value, '$.actor')
FROM json_each(:rows)
RETURNING id

-- A new user with a new account, unless the id or the address is taken; and who does it, and when (`say_who_acts`).
-- name: insert_user_and_account
-- dialect: sqlite
INSERT INTO arrivals (
    user_id, email, email_verified, name, image, id, provider, provider_account_id, type, access_token,
    access_token_encrypted, refresh_token, refresh_token_encrypted, id_token, id_token_encrypted, token_type, scope,
    session_state, expires_at, data, created_at, actor)
VALUES (
    :user_id, :email, :email_verified, :name, :image, :id, :provider, :provider_account_id, :type, :access_token,
    :access_token_encrypted, :refresh_token, :refresh_token_encrypted, :id_token, :id_token_encrypted, :token_type,
    :scope, :session_state, :expires_at, :data, :created_at, :actor)
RETURNING id
-- dialect: postgres
WITH acting AS MATERIALIZED (
    SELECT set_config('authstore.acting_at', CAST(:created_at AS timestamptz)::text, true),
        set_config('authstore.actor', coalesce(CAST(:actor AS text), ''), true)),
made AS (
    INSERT INTO users (id, email, email_verified, name, image, disabled, data, created_at, updated_at)
    SELECT :user_id, :email, :email_verified, :name, :image, false, '{}', :created_at, :created_at FROM acting
    ON CONFLICT DO NOTHING
    RETURNING id)
INSERT INTO accounts (id, user_id, provider, provider_account_id, type, access_token, access_token_encrypted,
    refresh_token, refresh_token_encrypted, id_token, id_token_encrypted, token_type, scope, session_state,
    expires_at, data, created_at, updated_at)
SELECT :id, made.id, :provider, :provider_account_id, :type, :access_token, :access_token_encrypted,
    :refresh_token, :refresh_token_encrypted, :id_token, :id_token_encrypted, :token_type, :scope, :session_state,
    :expires_at, :data, :created_at, :created_at
FROM made
RETURNING id

-- All that can change of an account.
-- name: update_account
UPDATE accounts
SET type = :type, access_token = :access_token, access_token_encrypted = :access_token_encrypted,
    refresh_token = :refresh_token, refresh_token_encrypted = :refresh_token_encrypted, id_token = :id_token,
    id_token_encrypted = :id_token_encrypted, token_type = :token_type, scope = :scope,
    session_state = :session_state, expires_at = :expires_at, data = :data, updated_at = :updated_at
WHERE id = :id

-- One account.
-- name: get_account
SELECT * FROM accounts WHERE provider = :provider AND provider_account_id = :provider_account_id

-- A user's accounts, oldest first.
-- name: list_accounts
SELECT * FROM accounts WHERE user_id = :user_id ORDER BY created_at, id

-- Forgets an account.
-- name: delete_account
DELETE FROM accounts WHERE provider = :provider AND provider_account_id = :provider_account_id

-- Forgets all accounts of a user.
-- name: delete_accounts
DELETE FROM accounts WHERE user_id = :user_id

-- Takes the lease on refreshing an account from whoever was seen to have it, or renews it.
-- name: hold_refresh
UPDATE accounts SET refresh_holder = :holder, refresh_until = :until
WHERE id = :id AND refresh_count = :count AND coalesce(refresh_holder, '') = :former
RETURNING *

-- Gives the lease back after a failure, under whichever name its holder renewed it last.
-- name: release_refresh
UPDATE accounts SET refresh_holder = NULL, refresh_until = NULL
WHERE provider = :provider AND provider_account_id = :provider_account_id
    AND substr(refresh_holder, 1, length(:holder)) = :holder

-- Gives the lease back after a success, and counts it.
-- name: finish_refresh
UPDATE accounts SET refresh_holder = NULL, refresh_until = NULL, refresh_count = refresh_count + 1 WHERE id = :id

-- Accounts with a provider token that is plain or not under the newest key.
-- name: list_accounts_to_rekey
SELECT * FROM accounts
WHERE id > :after
    AND (access_token IS NOT NULL OR refresh_token IS NOT NULL OR id_token IS NOT NULL
        OR substr(access_token_encrypted, 1, :length) <> :prefix
        OR substr(refresh_token_encrypted, 1, :length) <> :prefix
        OR substr(id_token_encrypted, 1, :length) <> :prefix)
ORDER BY id LIMIT :limit
-- dialect: postgres, to change
SELECT * FROM accounts
WHERE id > :after
    AND (access_token IS NOT NULL OR refresh_token IS NOT NULL OR id_token IS NOT NULL
        OR substr(access_token_encrypted, 1, :length) <> :prefix
        OR substr(refresh_token_encrypted, 1, :length) <> :prefix
        OR substr(id_token_encrypted, 1, :length) <> :prefix)
ORDER BY id LIMIT :limit FOR NO KEY UPDATE

-- Accounts with an encrypted provider token.
-- name: list_encrypted_accounts
SELECT * FROM accounts
WHERE id > :after AND (access_token_encrypted IS NOT NULL OR refresh_token_encrypted IS NOT NULL
    OR id_token_encrypted IS NOT NULL)
ORDER BY id LIMIT :limit
-- dialect: postgres, to change
SELECT * FROM accounts
WHERE id > :after AND (access_token_encrypted IS NOT NULL OR refresh_token_encrypted IS NOT NULL
    OR id_token_encrypted IS NOT NULL)
ORDER BY id LIMIT :limit FOR NO KEY UPDATE

-- ── sessions ─────────────────────────────────────────────────────────────────────────────────────────────

-- A new session, where there is such a user and it is not disabled.
-- name: insert_session
-- dialect: sqlite
INSERT INTO sessions (id, token_hash, token_indexed, user_id, expires, expires_asked, created_at, last_used_at,
    authenticated_at, ip, user_agent, data)
VALUES (:id, :token_hash, :token_indexed, ifnull((SELECT id FROM users WHERE id = :user_id AND NOT disabled), ''), :expires,
    :expires_asked, :created_at, :last_used_at, :authenticated_at, :ip, :user_agent, :data)
-- dialect: sqlite, gathered
INSERT INTO sessions (id, token_hash, token_indexed, user_id, expires, expires_asked, created_at, last_used_at,
    authenticated_at, ip, user_agent, data)
SELECT json_extract(value, '$.id'), substr(:packed, json_extract(value, '$.token_hash[0]'), json_extract(value, '$.token_hash[1]')),
    json_extract(value, '$.token_indexed'),
    (SELECT id FROM users WHERE id = json_extract(value, '$.user_id') AND NOT disabled), json_extract(value, '$.expires'),
    json_extract(value, '$.expires_asked'), json_extract(value, '$.created_at'), json_extract(value, '$.created_at'),
    json_extract(value, '$.created_at'), json_extract(value, '$.ip'), json_extract(value, '$.user_agent'),
    json_extract(value, '$.data')
FROM json_each(:rows)
-- dialect: postgres
INSERT INTO sessions (id, token_hash, token_indexed, user_id, expires, expires_asked, created_at, last_used_at,
    authenticated_at, ip, user_agent, data)
SELECT :id, :token_hash, :token_indexed, users.id, :expires, :expires_asked, :created_at, :last_used_at,
    :authenticated_at, :ip, :user_agent, :data
FROM users WHERE users.id = :user_id AND NOT users.disabled
FOR SHARE OF users
-- dialect: postgres, whole
WITH gate AS MATERIALIZED (SELECT pg_try_advisory_xact_lock_shared(:gate, 'users'::regclass::oid::int) AS is_open)
INSERT INTO sessions (id, token_hash, token_indexed, user_id, expires, expires_asked, created_at, last_used_at,
    authenticated_at, ip, user_agent, data)
SELECT :id, :token_hash, :token_indexed, users.id, :expires, :expires_asked, :created_at, :last_used_at,
    :authenticated_at, :ip, :user_agent, :data
FROM gate CROSS JOIN users WHERE gate.is_open AND users.id = :user_id AND NOT users.disabled
FOR SHARE OF users
-- dialect: postgres, gathered
WITH gate AS MATERIALIZED (SELECT pg_try_advisory_xact_lock_shared(:gate, 'users'::regclass::oid::int) AS is_open)
INSERT INTO sessions (id, token_hash, token_indexed, user_id, expires, expires_asked, created_at, last_used_at,
    authenticated_at, ip, user_agent, data)
SELECT given.id, given.token_hash, given.token_indexed, users.id, given.expires, given.expires_asked, given.created_at,
    given.created_at, given.created_at, given.ip, given.user_agent, given.data::json
FROM gate CROSS JOIN unnest(:id::text[], :token_hash::bytea[], :token_indexed::boolean[], :user_id::text[],
    :expires::timestamptz[], :expires_asked::timestamptz[], :created_at::timestamptz[], :ip::text[],
    :user_agent::text[], :data::text[]) AS given (id, token_hash, token_indexed, user_id, expires, expires_asked,
    created_at, ip, user_agent, data)
JOIN users ON users.id = given.user_id AND NOT users.disabled
WHERE gate.is_open
FOR SHARE OF users
RETURNING id

-- The session that a token names, with its user: the hot path. The order of the values is that of
-- `store.sessions.kept.session_and_user`.
-- name: session_and_user_by_id
SELECT sessions.token_hash, sessions.id, sessions.user_id, sessions.expires, sessions.created_at,
    sessions.last_used_at, sessions.authenticated_at, sessions.ip, sessions.user_agent, sessions.data, users.email,
    users.email_verified, users.name, users.image, users.disabled, users.data AS user_data,
    users.created_at AS user_created_at, users.updated_at
FROM sessions JOIN users ON users.id = sessions.user_id
WHERE sessions.id = :key

-- The same of many at once; in SQLite as one value: each row costs its driver a lock.
-- name: sessions_and_users_by_ids
-- dialect: sqlite
SELECT CAST('[' || ifnull(group_concat(json_array(
    hex(sessions.token_hash), sessions.id, sessions.user_id, sessions.expires, sessions.created_at,
    sessions.last_used_at, sessions.authenticated_at, sessions.ip, sessions.user_agent, sessions.data, users.email,
    users.email_verified, users.name, users.image, users.disabled, users.data, users.created_at, users.updated_at
    )), '') || ']' AS BLOB)
FROM json_each(:keys) AS wanted
CROSS JOIN sessions ON sessions.id = wanted.value
CROSS JOIN users ON users.id = sessions.user_id
-- dialect: postgres
SELECT sessions.token_hash, sessions.id, sessions.user_id, sessions.expires, sessions.created_at,
    sessions.last_used_at, sessions.authenticated_at, sessions.ip, sessions.user_agent, sessions.data, users.email,
    users.email_verified, users.name, users.image, users.disabled, users.data AS user_data,
    users.created_at AS user_created_at, users.updated_at
FROM sessions JOIN users ON users.id = sessions.user_id
WHERE sessions.id = ANY(:keys)

-- The same for a token that names no session.
-- name: session_and_user_by_hash
-- dialect: sqlite
SELECT sessions.token_hash, sessions.id, sessions.user_id, sessions.expires, sessions.created_at,
    sessions.last_used_at, sessions.authenticated_at, sessions.ip, sessions.user_agent, sessions.data, users.email,
    users.email_verified, users.name, users.image, users.disabled, users.data AS user_data,
    users.created_at AS user_created_at, users.updated_at
FROM sessions JOIN users ON users.id = sessions.user_id
WHERE sessions.token_hash = :token_hash AND sessions.token_indexed = 1
-- dialect: postgres
SELECT sessions.token_hash, sessions.id, sessions.user_id, sessions.expires, sessions.created_at,
    sessions.last_used_at, sessions.authenticated_at, sessions.ip, sessions.user_agent, sessions.data, users.email,
    users.email_verified, users.name, users.image, users.disabled, users.data AS user_data,
    users.created_at AS user_created_at, users.updated_at
FROM sessions JOIN users ON users.id = sessions.user_id
WHERE sessions.token_hash = :token_hash AND sessions.token_indexed

-- One session by its id.
-- name: get_session_by_id
SELECT sessions.*, users.disabled AS user__disabled FROM sessions JOIN users ON users.id = sessions.user_id
WHERE sessions.id = :id
-- dialect: postgres, to change
SELECT sessions.*, users.disabled AS user__disabled FROM sessions JOIN users ON users.id = sessions.user_id
WHERE sessions.id = :id FOR NO KEY UPDATE OF sessions

-- One session by the hash of a given or moved token.
-- name: get_session_by_hash
-- dialect: sqlite
SELECT sessions.*, users.disabled AS user__disabled FROM sessions JOIN users ON users.id = sessions.user_id
WHERE sessions.token_hash = :token_hash AND sessions.token_indexed = 1
-- dialect: postgres
SELECT sessions.*, users.disabled AS user__disabled FROM sessions JOIN users ON users.id = sessions.user_id
WHERE sessions.token_hash = :token_hash AND sessions.token_indexed
-- dialect: postgres, to change
SELECT sessions.*, users.disabled AS user__disabled FROM sessions JOIN users ON users.id = sessions.user_id
WHERE sessions.token_hash = :token_hash AND sessions.token_indexed FOR NO KEY UPDATE OF sessions

-- All that can change of a session.
-- name: update_session
UPDATE sessions
SET token_hash = :token_hash, token_indexed = :token_indexed, expires = :expires, expires_asked = :expires_asked,
    last_used_at = :last_used_at, data = :data
WHERE id = :id

-- Gives a living session another token in place of this one, which is good until the end of its grace, where it has one;
-- and says who does it, and when (`say_who_acts`).
-- name: rotate_session
-- dialect: postgres, together
WITH acting AS MATERIALIZED (
    SELECT set_config('authstore.acting_at', CAST(:now AS timestamptz)::text, true),
        set_config('authstore.actor', coalesce(CAST(:actor AS text), ''), true)),
found AS MATERIALIZED (
    SELECT sessions.id, sessions.token_hash
    FROM acting CROSS JOIN sessions JOIN users ON users.id = sessions.user_id
    WHERE sessions.id = :id AND sessions.token_hash = :token_hash AND NOT users.disabled
        AND sessions.expires > :now AND sessions.created_at > :created_after AND sessions.last_used_at > :used_after
    FOR NO KEY UPDATE OF sessions),
graces AS (
    UPDATE ended_tokens SET at = :now FROM found
    WHERE ended_tokens.session_id = found.id AND ended_tokens.at > :now),
noted AS (
    INSERT INTO ended_tokens (token_hash, reason, at, actor, session_id)
    SELECT found.token_hash, 'rotated', CAST(:until AS timestamptz), CAST(:actor AS text), found.id
    FROM found WHERE CAST(:until AS timestamptz) IS NOT NULL
    ON CONFLICT (token_hash) DO UPDATE
    SET reason = excluded.reason, at = excluded.at, actor = excluded.actor, session_id = excluded.session_id)
UPDATE sessions SET token_hash = :new_token_hash, token_indexed = false
FROM found WHERE sessions.id = found.id
RETURNING sessions.*

-- Moves the last use of a session on, where it is as it was seen.
-- name: touch_session
-- dialect: postgres, whole
WITH gate AS MATERIALIZED (SELECT pg_try_advisory_xact_lock_shared(:gate, 'users'::regclass::oid::int) AS is_open)
UPDATE sessions SET last_used_at = :now, expires = :expires
FROM gate
WHERE gate.is_open AND sessions.id = :id AND sessions.token_hash = :token_hash
    AND sessions.expires = :seen_expires AND sessions.last_used_at = :seen_used
    AND (sessions.expires_asked IS NULL OR sessions.expires = :expires)
-- dialect: postgres, gathered
WITH gate AS MATERIALIZED (SELECT pg_try_advisory_xact_lock_shared(:gate, 'users'::regclass::oid::int) AS is_open),
given AS MATERIALIZED (
    SELECT * FROM unnest(:id::text[], :token_hash::bytea[], :now::timestamptz[], :expires::timestamptz[],
        :seen_expires::timestamptz[], :seen_used::timestamptz[])
        AS given (id, token_hash, now, expires, seen_expires, seen_used)),
found AS MATERIALIZED (
    SELECT sessions.id, given.now, given.expires
    FROM gate CROSS JOIN given JOIN sessions ON sessions.id = given.id AND sessions.token_hash = given.token_hash
    WHERE gate.is_open AND sessions.expires = given.seen_expires AND sessions.last_used_at = given.seen_used
        AND (sessions.expires_asked IS NULL OR sessions.expires = given.expires)
    ORDER BY sessions.id FOR NO KEY UPDATE OF sessions)
UPDATE sessions SET last_used_at = found.now, expires = found.expires
FROM found WHERE sessions.id = found.id
RETURNING sessions.id

-- Ends a living session, and writes down why.
-- name: end_session
-- dialect: postgres, whole
WITH gate AS MATERIALIZED (SELECT pg_try_advisory_xact_lock_shared(:gate, 'users'::regclass::oid::int) AS is_open),
found AS MATERIALIZED (
    SELECT sessions.id, sessions.token_hash FROM gate CROSS JOIN sessions
    WHERE gate.is_open AND sessions.id = :id AND sessions.token_hash = :token_hash AND sessions.expires > :now
        AND sessions.created_at > :created_after AND sessions.last_used_at > :used_after
    FOR UPDATE OF sessions),
noted AS (
    INSERT INTO ended_tokens (token_hash, reason, at, actor)
    SELECT found.token_hash, CAST(:reason AS text), CAST(:at AS timestamptz), CAST(:actor AS text) FROM found
    ON CONFLICT (token_hash) DO UPDATE SET reason = excluded.reason, at = excluded.at, actor = excluded.actor)
DELETE FROM sessions USING found WHERE sessions.id = found.id
-- dialect: postgres, gathered
WITH gate AS MATERIALIZED (SELECT pg_try_advisory_xact_lock_shared(:gate, 'users'::regclass::oid::int) AS is_open),
given AS MATERIALIZED (
    SELECT * FROM unnest(:id::text[], :token_hash::bytea[], :now::timestamptz[], :created_after::timestamptz[],
        :used_after::timestamptz[], :reason::text[], :at::timestamptz[], :actor::text[])
        AS given (id, token_hash, now, created_after, used_after, reason, at, actor)),
found AS MATERIALIZED (
    SELECT sessions.id, sessions.token_hash, given.reason, given.at, given.actor
    FROM gate CROSS JOIN given JOIN sessions ON sessions.id = given.id AND sessions.token_hash = given.token_hash
    WHERE gate.is_open AND sessions.expires > given.now AND sessions.created_at > given.created_after
        AND sessions.last_used_at > given.used_after
    ORDER BY sessions.id FOR UPDATE OF sessions),
noted AS (
    INSERT INTO ended_tokens (token_hash, reason, at, actor)
    SELECT found.token_hash, found.reason, found.at, found.actor FROM found
    ON CONFLICT (token_hash) DO UPDATE SET reason = excluded.reason, at = excluded.at, actor = excluded.actor)
DELETE FROM sessions USING found WHERE sessions.id = found.id
RETURNING sessions.id

-- Ends one session.
-- name: delete_session
DELETE FROM sessions WHERE id = :id

-- A stretch of a user's sessions, newest first, from a place in that order on; whether each lives. Of a user who is
-- disabled, none.
-- name: list_sessions
SELECT *, expires > :now AND created_at > :created_after AND last_used_at > :used_after AS is_alive
FROM sessions
WHERE user_id = :user_id AND (created_at, id) < (:before, :before_id) AND NOT (SELECT disabled FROM users WHERE id = :user_id)
ORDER BY created_at DESC, id DESC LIMIT :limit

-- How many sessions a user has, counted up to so many.
-- name: count_sessions
SELECT count(*) AS counted FROM (SELECT 1 FROM sessions WHERE user_id = :user_id LIMIT :most) AS found

-- The next stretch of a user's sessions, oldest first: of each its id, when it was last used and made, and whether it lives.
-- name: scan_sessions_to_end
-- dialect: sqlite
SELECT json_group_array(json_array(id, last_used_at, created_at, is_alive)) AS found
FROM (SELECT id, last_used_at, created_at,
        expires > :now AND created_at > :created_after AND last_used_at > :used_after AS is_alive
    FROM sessions WHERE user_id = :user_id AND (created_at, id) > (:after, :after_id) ORDER BY created_at, id LIMIT 250)
-- dialect: postgres
SELECT coalesce(json_agg(json_build_array(id, last_used_at, created_at, is_alive)), '[]') AS found
FROM (SELECT id, last_used_at, created_at,
        expires > :now AND created_at > :created_after AND last_used_at > :used_after AS is_alive
    FROM sessions WHERE user_id = :user_id AND (created_at, id) > (CAST(CAST(:after AS text) AS timestamptz), :after_id)
    ORDER BY created_at, id LIMIT 2000) AS stretch

-- When each of these sessions was last used.
-- name: list_last_uses
-- dialect: sqlite
SELECT id, last_used_at FROM sessions WHERE id IN (SELECT value FROM json_each(:ids))
-- dialect: postgres
SELECT id, last_used_at FROM sessions WHERE id IN (SELECT json_array_elements_text(:ids))
-- dialect: postgres, to change
SELECT id, last_used_at FROM sessions WHERE id IN (SELECT json_array_elements_text(:ids)) ORDER BY id FOR UPDATE

-- The ids of a user's sessions, save one, up to so many.
-- name: list_session_ids
SELECT id FROM sessions WHERE user_id = :user_id AND id <> :except_id LIMIT :most

-- Ends these sessions.
-- name: delete_sessions
-- dialect: sqlite
DELETE FROM sessions WHERE id IN (SELECT value FROM json_each(:ids))
-- dialect: postgres
DELETE FROM sessions WHERE id IN (
    SELECT id FROM sessions WHERE id IN (SELECT json_array_elements_text(:ids)) ORDER BY id FOR UPDATE)

-- The next stretch of sessions by id: where it ends, and which of them are dead.
-- name: scan_sessions
-- dialect: sqlite
SELECT max(id) AS last, json_group_array(id) FILTER (
    WHERE expires <= :now OR created_at <= :created_after OR last_used_at <= :used_after) AS dead
FROM (SELECT id, expires, created_at, last_used_at FROM sessions WHERE id > :after AND id <= :until ORDER BY id LIMIT :limit)
-- dialect: postgres
SELECT max(id) AS last, coalesce(json_agg(id) FILTER (
    WHERE expires <= :now OR created_at <= :created_after OR last_used_at <= :used_after), '[]') AS dead
FROM (SELECT id, expires, created_at, last_used_at FROM sessions WHERE id > :after AND id <= :until ORDER BY id LIMIT :limit) AS stretch

-- Deletes these sessions, where they are still dead.
-- name: delete_dead_sessions
-- dialect: sqlite
DELETE FROM sessions WHERE id IN (SELECT value FROM json_each(:ids))
    AND (expires <= :now OR created_at <= :created_after OR last_used_at <= :used_after)
-- dialect: postgres
DELETE FROM sessions WHERE id IN (SELECT json_array_elements_text(:ids))
    AND (expires <= :now OR created_at <= :created_after OR last_used_at <= :used_after)

-- The next stretch of sessions by id: where it ends, and how many of them are dead.
-- name: count_dead_sessions
SELECT max(id) AS last, count(*) FILTER (
    WHERE expires <= :now OR created_at <= :created_after OR last_used_at <= :used_after) AS dead
FROM (SELECT id, expires, created_at, last_used_at FROM sessions WHERE id > :after AND id <= :until ORDER BY id LIMIT :limit) AS stretch

-- ── visits ───────────────────────────────────────────────────────────────────────────────────────────────

-- A new visit, unless it is taken.
-- name: insert_visit
INSERT INTO visits (id, token_hash, token_indexed, expires, expires_asked, created_at, last_used_at, data)
VALUES (:id, :token_hash, :token_indexed, :expires, :expires_asked, :created_at, :last_used_at, :data)
ON CONFLICT DO NOTHING

-- One visit by its id.
-- name: get_visit_by_id
SELECT * FROM visits WHERE id = :id
-- dialect: postgres, to change
SELECT * FROM visits WHERE id = :id FOR NO KEY UPDATE

-- One visit by the hash of a given token.
-- name: get_visit_by_hash
-- dialect: sqlite
SELECT * FROM visits WHERE token_hash = :token_hash AND token_indexed = 1
-- dialect: postgres
SELECT * FROM visits WHERE token_hash = :token_hash AND token_indexed
-- dialect: postgres, to change
SELECT * FROM visits WHERE token_hash = :token_hash AND token_indexed FOR NO KEY UPDATE

-- All that can change of a visit.
-- name: update_visit
UPDATE visits
SET token_hash = :token_hash, token_indexed = :token_indexed, expires = :expires, last_used_at = :last_used_at,
    data = :data
WHERE id = :id

-- Ends one visit.
-- name: delete_visit
DELETE FROM visits WHERE id = :id

-- The next stretch of visits by id: where it ends, and which of them are dead.
-- name: scan_visits
-- dialect: sqlite
SELECT max(id) AS last, json_group_array(id) FILTER (
    WHERE expires <= :now OR created_at <= :created_after OR last_used_at <= :used_after) AS dead
FROM (SELECT id, expires, created_at, last_used_at FROM visits WHERE id > :after AND id <= :until ORDER BY id LIMIT :limit)
-- dialect: postgres
SELECT max(id) AS last, coalesce(json_agg(id) FILTER (
    WHERE expires <= :now OR created_at <= :created_after OR last_used_at <= :used_after), '[]') AS dead
FROM (SELECT id, expires, created_at, last_used_at FROM visits WHERE id > :after AND id <= :until ORDER BY id LIMIT :limit) AS stretch

-- Deletes these visits, where they are still dead.
-- name: delete_dead_visits
-- dialect: sqlite
DELETE FROM visits WHERE id IN (SELECT value FROM json_each(:ids))
    AND (expires <= :now OR created_at <= :created_after OR last_used_at <= :used_after)
-- dialect: postgres
DELETE FROM visits WHERE id IN (SELECT json_array_elements_text(:ids))
    AND (expires <= :now OR created_at <= :created_after OR last_used_at <= :used_after)

-- The next stretch of visits by id: where it ends, and how many of them are dead.
-- name: count_dead_visits
SELECT max(id) AS last, count(*) FILTER (
    WHERE expires <= :now OR created_at <= :created_after OR last_used_at <= :used_after) AS dead
FROM (SELECT id, expires, created_at, last_used_at FROM visits WHERE id > :after AND id <= :until ORDER BY id LIMIT :limit) AS stretch

-- ── verification tokens ──────────────────────────────────────────────────────────────────────────────────

-- A new token, unless it is taken.
-- name: insert_verification_token
INSERT INTO verification_tokens (identifier, purpose, token_hash, expires, data, created_at)
VALUES (:identifier, :purpose, :token_hash, :expires, :data, :created_at)
ON CONFLICT DO NOTHING

-- Of an identifier's living tokens for a purpose, all but the last few made (by id: a clock may have gone back).
-- name: delete_excess_verification_tokens
DELETE FROM verification_tokens WHERE id IN (
    SELECT id FROM verification_tokens WHERE identifier = :identifier AND purpose = :purpose AND expires > :now
    ORDER BY id DESC LIMIT 9223372036854775807 OFFSET :keep)

-- Makes room for a token whose text a dead one has.
-- name: delete_dead_verification_token
DELETE FROM verification_tokens
WHERE identifier = :identifier AND purpose = :purpose AND token_hash = :token_hash AND expires <= :now

-- One token, not used.
-- name: get_verification_token
SELECT * FROM verification_tokens
WHERE identifier = :identifier AND purpose = :purpose AND token_hash = :token_hash

-- Takes a token: whoever gets the row has used it.
-- name: take_verification_token
DELETE FROM verification_tokens
WHERE identifier = :identifier AND purpose = :purpose AND token_hash = :token_hash
RETURNING *

-- Takes a living token, and with it the others of the same identifier and purpose.
-- name: use_verification_token
-- dialect: postgres, together
WITH found AS MATERIALIZED (
    SELECT * FROM verification_tokens
    WHERE identifier = :identifier AND purpose = :purpose AND token_hash = :token_hash AND expires > :now
    FOR UPDATE)
DELETE FROM verification_tokens USING found
WHERE verification_tokens.identifier = found.identifier AND verification_tokens.purpose = found.purpose
RETURNING found.*

-- The other tokens of the same identifier and purpose.
-- name: delete_verification_tokens_for_purpose
DELETE FROM verification_tokens WHERE identifier = :identifier AND purpose = :purpose

-- The tokens that lived at an instant or were made after it.
-- name: delete_verification_tokens_since
DELETE FROM verification_tokens WHERE expires > :since OR created_at >= :since

-- All tokens of an identifier.
-- name: delete_verification_tokens
DELETE FROM verification_tokens WHERE identifier = :identifier

-- The next stretch of tokens: where it ends, and which of them are dead.
-- name: scan_verification_tokens
-- dialect: sqlite
SELECT max(id) AS last, json_group_array(id) FILTER (WHERE expires <= :now) AS dead
FROM (SELECT id, expires FROM verification_tokens WHERE id > :after AND id <= :until ORDER BY id LIMIT :limit)
-- dialect: postgres
SELECT max(id) AS last, coalesce(json_agg(id) FILTER (WHERE expires <= :now), '[]') AS dead
FROM (SELECT id, expires FROM verification_tokens WHERE id > :after AND id <= :until ORDER BY id LIMIT :limit) AS stretch

-- Deletes these tokens, where they are still dead.
-- name: delete_dead_verification_tokens
-- dialect: sqlite
DELETE FROM verification_tokens WHERE id IN (SELECT value FROM json_each(:ids)) AND expires <= :now
-- dialect: postgres
DELETE FROM verification_tokens WHERE id IN (SELECT json_array_elements_text(:ids)::bigint) AND expires <= :now

-- The next stretch of tokens: where it ends, and how many of them are dead.
-- name: count_dead_verification_tokens
SELECT max(id) AS last, count(*) FILTER (WHERE expires <= :now) AS dead
FROM (SELECT id, expires FROM verification_tokens WHERE id > :after AND id <= :until ORDER BY id LIMIT :limit) AS stretch

-- ── authenticators ───────────────────────────────────────────────────────────────────────────────────────

-- A new passkey, unless somebody has it.
-- name: insert_authenticator
INSERT INTO authenticators (credential_id, user_id, public_key, counter, device_type, backed_up, transports, name,
    data, created_at, last_used_at)
VALUES (:credential_id, :user_id, :public_key, :counter, :device_type, :backed_up, :transports, :name,
    :data, :created_at, :last_used_at)
ON CONFLICT DO NOTHING

-- One passkey.
-- name: get_authenticator
SELECT * FROM authenticators WHERE credential_id = :credential_id

-- A user's passkeys, oldest first.
-- name: list_authenticators
SELECT * FROM authenticators WHERE user_id = :user_id ORDER BY created_at, credential_id

-- Moves the counter on, if it grew or neither side counts.
-- name: advance_counter
UPDATE authenticators SET counter = :counter, last_used_at = :now
WHERE credential_id = :credential_id AND (counter < :counter OR (counter = 0 AND :counter = 0))
RETURNING *

-- Gives a passkey another name.
-- name: rename_authenticator
UPDATE authenticators SET name = :name WHERE credential_id = :credential_id RETURNING *

-- Forgets a passkey.
-- name: delete_authenticator
DELETE FROM authenticators WHERE credential_id = :credential_id

-- Forgets all passkeys of a user.
-- name: delete_authenticators
DELETE FROM authenticators WHERE user_id = :user_id

-- ── roles ────────────────────────────────────────────────────────────────────────────────────────────────

-- A new role, unless its name is taken.
-- name: insert_role
INSERT INTO roles (name, description, data) VALUES (:name, :description, :data)
ON CONFLICT DO NOTHING

-- One role with its permissions.
-- name: get_role
-- dialect: sqlite
SELECT roles.*, (SELECT json_group_array(json_array(resource, action)) FROM role_permissions
    WHERE role_name = roles.name) AS permissions
FROM roles WHERE name = :name
-- dialect: postgres
SELECT roles.*, (SELECT coalesce(json_agg(json_build_array(resource, action)), '[]') FROM role_permissions
    WHERE role_name = roles.name) AS permissions
FROM roles WHERE name = :name
-- dialect: postgres, to change
SELECT roles.*, (SELECT coalesce(json_agg(json_build_array(resource, action)), '[]') FROM role_permissions
    WHERE role_name = roles.name) AS permissions
FROM roles WHERE name = :name FOR UPDATE

-- All roles with their permissions.
-- name: list_roles
-- dialect: sqlite
SELECT roles.*, (SELECT json_group_array(json_array(resource, action)) FROM role_permissions
    WHERE role_name = roles.name) AS permissions
FROM roles ORDER BY name
-- dialect: postgres
SELECT roles.*, (SELECT coalesce(json_agg(json_build_array(resource, action)), '[]') FROM role_permissions
    WHERE role_name = roles.name) AS permissions
FROM roles ORDER BY name

-- A user's roles with their permissions.
-- name: get_roles
-- dialect: sqlite
SELECT roles.*, (SELECT json_group_array(json_array(resource, action)) FROM role_permissions
    WHERE role_name = roles.name) AS permissions
FROM user_roles JOIN roles ON roles.name = user_roles.role_name
WHERE user_roles.user_id = :user_id ORDER BY roles.name
-- dialect: postgres
SELECT roles.*, (SELECT coalesce(json_agg(json_build_array(resource, action)), '[]') FROM role_permissions
    WHERE role_name = roles.name) AS permissions
FROM user_roles JOIN roles ON roles.name = user_roles.role_name
WHERE user_roles.user_id = :user_id ORDER BY roles.name

-- Whether a user is disabled, and the user's roles: at least one row of a user who is there.
-- name: get_user_and_roles
-- dialect: sqlite
SELECT users.disabled AS user__disabled, roles.*, (SELECT json_group_array(json_array(resource, action))
    FROM role_permissions WHERE role_name = roles.name) AS permissions
FROM users LEFT JOIN user_roles ON user_roles.user_id = users.id LEFT JOIN roles ON roles.name = user_roles.role_name
WHERE users.id = :user_id ORDER BY roles.name
-- dialect: postgres
SELECT users.disabled AS user__disabled, roles.*,
    (SELECT coalesce(json_agg(json_build_array(resource, action)), '[]') FROM role_permissions
    WHERE role_name = roles.name) AS permissions
FROM users LEFT JOIN user_roles ON user_roles.user_id = users.id LEFT JOIN roles ON roles.name = user_roles.role_name
WHERE users.id = :user_id ORDER BY roles.name

-- All that can change of a role; its grants follow the name.
-- name: update_role
UPDATE roles SET name = :new_name, description = :description, data = :data WHERE name = :name

-- A role, its grants and its share of permissions.
-- name: delete_role
DELETE FROM roles WHERE name = :name

-- Notes that a permission exists.
-- name: insert_permission
INSERT INTO permissions (resource, action) VALUES (:resource, :action) ON CONFLICT DO NOTHING

-- Gives a permission to a role.
-- name: insert_role_permission
INSERT INTO role_permissions (role_name, resource, action) VALUES (:role_name, :resource, :action)
ON CONFLICT DO NOTHING

-- Takes all permissions from a role.
-- name: delete_role_permissions
DELETE FROM role_permissions WHERE role_name = :role_name

-- Grants a role, unless it is granted.
-- name: grant_role
INSERT INTO user_roles (user_id, role_name) VALUES (:user_id, :role_name)
ON CONFLICT DO NOTHING

-- Takes a role away.
-- name: revoke_role
DELETE FROM user_roles WHERE user_id = :user_id AND role_name = :role_name

-- Whether an enabled user has a permission.
-- name: has_permission
SELECT 1 AS granted FROM user_roles
JOIN role_permissions ON role_permissions.role_name = user_roles.role_name
JOIN roles ON roles.name = user_roles.role_name
JOIN users ON users.id = user_roles.user_id
WHERE user_roles.user_id = :user_id AND role_permissions.resource = :resource
    AND role_permissions.action = :action AND NOT users.disabled
LIMIT 1

-- A page of the users who have a role.
-- name: list_users_with_role
SELECT users.* FROM user_roles JOIN users ON users.id = user_roles.user_id
WHERE user_roles.role_name = :role_name AND user_roles.user_id > :after
ORDER BY user_roles.user_id LIMIT :limit

-- ── how sessions end, and why ────────────────────────────────────────────────────────────────────────────

-- Writes down what a token died of.
-- name: insert_ended_token
INSERT INTO ended_tokens (token_hash, reason, at, actor, session_id)
VALUES (:token_hash, :reason, :at, :actor, :session_id)
ON CONFLICT (token_hash) DO UPDATE
SET reason = excluded.reason, at = excluded.at, actor = excluded.actor, session_id = excluded.session_id

-- Writes down why a living session ends.
-- name: note_ending
-- dialect: sqlite
INSERT INTO ended_tokens (token_hash, reason, at, actor)
SELECT token_hash, :reason, :at, :actor FROM sessions
WHERE id = :id AND expires > :now AND created_at > :created_after AND last_used_at > :used_after
ON CONFLICT (token_hash) DO UPDATE SET reason = excluded.reason, at = excluded.at, actor = excluded.actor
-- dialect: postgres
INSERT INTO ended_tokens (token_hash, reason, at, actor)
SELECT token_hash, CAST(:reason AS text), CAST(:at AS timestamptz), CAST(:actor AS text) FROM sessions
WHERE id = :id AND expires > :now AND created_at > :created_after AND last_used_at > :used_after
ON CONFLICT (token_hash) DO UPDATE SET reason = excluded.reason, at = excluded.at, actor = excluded.actor

-- Writes down why the living ones of these sessions end.
-- name: note_endings
-- dialect: sqlite
INSERT INTO ended_tokens (token_hash, reason, at, actor)
SELECT token_hash, :reason, :at, :actor FROM sessions
WHERE id IN (SELECT value FROM json_each(:ids)) AND expires > :now AND created_at > :created_after
    AND last_used_at > :used_after
ON CONFLICT (token_hash) DO UPDATE SET reason = excluded.reason, at = excluded.at, actor = excluded.actor
-- dialect: postgres
INSERT INTO ended_tokens (token_hash, reason, at, actor)
SELECT token_hash, CAST(:reason AS text), CAST(:at AS timestamptz), CAST(:actor AS text) FROM sessions
WHERE id IN (SELECT json_array_elements_text(:ids)) AND expires > :now AND created_at > :created_after
    AND last_used_at > :used_after
ON CONFLICT (token_hash) DO UPDATE SET reason = excluded.reason, at = excluded.at, actor = excluded.actor

-- Of these sessions those whose end is not written down.
-- name: list_unnoted_sessions
-- dialect: sqlite
SELECT sessions.* FROM sessions
WHERE id IN (SELECT value FROM json_each(:ids))
    AND NOT EXISTS (SELECT 1 FROM ended_tokens WHERE ended_tokens.token_hash = sessions.token_hash)
-- dialect: postgres
SELECT sessions.* FROM sessions
WHERE id IN (SELECT json_array_elements_text(:ids))
    AND NOT EXISTS (SELECT 1 FROM ended_tokens WHERE ended_tokens.token_hash = sessions.token_hash)

-- Writes down what dead sessions died of: rows of id, reason, instant.
-- name: note_deaths
-- dialect: sqlite
INSERT INTO ended_tokens (token_hash, reason, at)
SELECT sessions.token_hash, json_extract(death.value, '$[1]'), json_extract(death.value, '$[2]')
FROM json_each(:deaths) AS death JOIN sessions ON sessions.id = json_extract(death.value, '$[0]')
WHERE true
ON CONFLICT (token_hash) DO NOTHING
-- dialect: postgres
INSERT INTO ended_tokens (token_hash, reason, at)
SELECT sessions.token_hash, death.value ->> 1, (death.value ->> 2)::timestamptz
FROM json_array_elements(:deaths) AS death (value) JOIN sessions ON sessions.id = death.value ->> 0
ON CONFLICT (token_hash) DO NOTHING

-- One session's own row.
-- name: get_session_row
SELECT * FROM sessions WHERE id = :id

-- Of these sessions those that are still dead.
-- name: list_dead_sessions
-- dialect: sqlite
SELECT * FROM sessions WHERE id IN (SELECT value FROM json_each(:ids))
    AND (expires <= :now OR created_at <= :created_after OR last_used_at <= :used_after)
-- dialect: postgres
SELECT * FROM sessions WHERE id IN (SELECT json_array_elements_text(:ids))
    AND (expires <= :now OR created_at <= :created_after OR last_used_at <= :used_after)

-- Beyond the limit, a user's living sessions, longest unused last; never the one just made.
-- name: list_excess_sessions
SELECT id FROM sessions
WHERE user_id = :user_id AND id <> :new_id AND expires > :now AND created_at > :created_after
    AND last_used_at > :used_after
ORDER BY last_used_at DESC, created_at DESC, id DESC
LIMIT 9223372036854775807 OFFSET :keep

-- The living session whose token was replaced with a grace, by the old token's hash.
-- name: get_replaced_session
SELECT sessions.*, users.disabled AS user__disabled, ended_tokens.at AS replaced_until
FROM ended_tokens
JOIN sessions ON sessions.id = ended_tokens.session_id
JOIN users ON users.id = sessions.user_id
WHERE ended_tokens.token_hash = :token_hash

-- The graces of a session's earlier tokens are over.
-- name: end_graces
UPDATE ended_tokens SET at = :now WHERE session_id = :session_id AND at > :now

-- Writes down why sessions end that lived at an instant or began after it.
-- name: note_endings_since
-- dialect: sqlite
INSERT INTO ended_tokens (token_hash, reason, at, actor)
SELECT token_hash, :reason, :at, :actor FROM sessions WHERE expires > :since OR created_at >= :since
ON CONFLICT (token_hash) DO UPDATE SET reason = excluded.reason, at = excluded.at, actor = excluded.actor
-- dialect: postgres
INSERT INTO ended_tokens (token_hash, reason, at, actor)
SELECT token_hash, CAST(:reason AS text), CAST(:at AS timestamptz), CAST(:actor AS text) FROM sessions
WHERE expires > :since OR created_at >= :since
ON CONFLICT (token_hash) DO UPDATE SET reason = excluded.reason, at = excluded.at, actor = excluded.actor

-- Ends the sessions that lived at an instant or began after it.
-- name: delete_sessions_since
DELETE FROM sessions WHERE expires > :since OR created_at >= :since

-- What a token died of.
-- name: get_ended_token
SELECT * FROM ended_tokens WHERE token_hash = :token_hash

-- The row of a session that a token names, and what is left of its user.
-- name: get_session_remains_by_id
SELECT sessions.*, users.disabled AS user__disabled, users.updated_at AS user_updated_at
FROM sessions LEFT JOIN users ON users.id = sessions.user_id
WHERE sessions.id = :id AND sessions.token_hash = :token_hash

-- The same for a token that names no session.
-- name: get_session_remains_by_hash
-- dialect: sqlite
SELECT sessions.*, users.disabled AS user__disabled, users.updated_at AS user_updated_at
FROM sessions LEFT JOIN users ON users.id = sessions.user_id
WHERE sessions.token_hash = :token_hash AND sessions.token_indexed = 1
-- dialect: postgres
SELECT sessions.*, users.disabled AS user__disabled, users.updated_at AS user_updated_at
FROM sessions LEFT JOIN users ON users.id = sessions.user_id
WHERE sessions.token_hash = :token_hash AND sessions.token_indexed

-- Where a stretch of ended tokens ends.
-- name: get_end_of_stretch
SELECT token_hash FROM ended_tokens WHERE token_hash > :after ORDER BY token_hash LIMIT 1 OFFSET :length

-- Whether a stretch holds ended tokens that are old enough to forget.
-- name: has_old_ended_tokens
SELECT 1 AS found FROM ended_tokens
WHERE token_hash > :after AND token_hash <= :last AND at <= :before AND session_id IS NULL
LIMIT 1

-- Forgets the old ones of a stretch of ended tokens.
-- name: delete_old_ended_tokens
DELETE FROM ended_tokens WHERE token_hash > :after AND token_hash <= :last AND at <= :before AND session_id IS NULL

-- ── the change log ───────────────────────────────────────────────────────────────────────────────────────

-- Says who writes from here on, and when; nothing for all three: nobody does.
-- name: say_who_acts
-- dialect: sqlite
UPDATE change_log SET acting_at = :at, actor = :actor, is_using = :is_using
-- dialect: postgres
SELECT set_config('authstore.acting_at', coalesce(CAST(:at AS timestamptz)::text, ''), true),
    set_config('authstore.actor', coalesce(CAST(:actor AS text), ''), true),
    set_config('authstore.is_using', CAST(:is_using AS boolean)::text, true)

-- Takes that back. On PostgreSQL the end of a transaction does it.
-- name: say_no_more
-- dialect: sqlite
UPDATE change_log SET acting_at = NULL, actor = NULL, is_using = 0
-- dialect: postgres
SELECT set_config('authstore.acting_at', '', true), set_config('authstore.actor', '', true),
    set_config('authstore.is_using', 'false', true)

-- The same after a statement that said it itself, as far as that does not take it back itself.
-- name: say_no_more_after
-- dialect: postgres, together
SELECT set_config('authstore.acting_at', '', true), set_config('authstore.actor', '', true),
    set_config('authstore.is_using', 'false', true)

-- Notes something that changes no row.
-- name: insert_change
INSERT INTO changes (at, type, user_id, session_id, reason, actor, data)
VALUES (:at, :type, :user_id, :session_id, :reason, :actor, :data)

-- The log goes on from this number, with a row that is no event.
-- name: go_on_from
INSERT INTO changes (seq, at) VALUES (:seq, :at)

-- A page of events, each with the bounds of the log; one row of bounds alone where there are none.
-- name: list_events
SELECT changes.*, change_log.lost, (SELECT max(seq) FROM changes) AS newest
FROM change_log LEFT JOIN changes ON changes.seq > :after AND changes.type IS NOT NULL
ORDER BY changes.seq LIMIT :limit

-- The first event that is kept.
-- name: get_first_event
SELECT min(changes.seq) AS seq FROM change_log JOIN changes ON changes.seq > change_log.lost
WHERE changes.type IS NOT NULL

-- The change log from a row on, for a cache; with it the id of a session by its place in the table.
-- name: changes_since
-- dialect: sqlite
SELECT seq, user_id, session_id, nonce, (SELECT id FROM sessions WHERE rowid = :newest)
FROM changes WHERE seq >= :seq ORDER BY seq LIMIT 1001
-- dialect: postgres
SELECT seq, user_id, session_id, nonce, CAST(:newest AS text) FROM changes WHERE seq >= :seq ORDER BY seq LIMIT 1001

-- Where the change log and the sessions end, and whether a session is there.
-- name: log_bounds
-- dialect: sqlite
SELECT changes.seq, changes.nonce, ifnull(newest.place, -1), newest.id,
    EXISTS (SELECT 1 FROM sessions WHERE id = :session_id)
FROM changes LEFT JOIN (SELECT rowid AS place, id FROM sessions ORDER BY rowid DESC LIMIT 1) AS newest
ORDER BY changes.seq DESC LIMIT 1
-- dialect: postgres
SELECT seq, nonce, -1, CAST(NULL AS text), EXISTS (SELECT 1 FROM sessions WHERE id = :session_id)
FROM changes ORDER BY seq DESC LIMIT 1

-- Which triggers there are.
-- name: list_triggers
-- dialect: sqlite
SELECT name FROM sqlite_schema WHERE type = 'trigger'
-- dialect: postgres
SELECT tgname AS name FROM pg_trigger WHERE NOT tgisinternal

-- How long events are kept, and how far they are chained.
-- name: get_change_log
SELECT audit_seconds, lost, lost_hash, sealed, sealed_hash FROM change_log

-- Makes whoever would note an event wait until this transaction has ended; a transaction of SQLite that writes is alone.
-- name: hold_change_log
-- dialect: sqlite
SELECT id FROM change_log
-- dialect: postgres
SELECT 1 AS id FROM pg_advisory_xact_lock(1096111177, CAST(CAST('changes' AS regclass) AS oid)::int)

-- The number of the newest row of the log.
-- name: get_newest_change
SELECT max(seq) AS seq FROM changes

-- The newest event that will no longer be kept, where there is one up to this number.
-- name: lose_changes_before
UPDATE change_log SET lost = coalesce((SELECT max(seq) FROM changes WHERE seq <= :seq AND type IS NOT NULL), lost)

-- Events are kept at least so long.
-- name: lengthen_audit
-- dialect: sqlite
UPDATE change_log SET audit_seconds = max(coalesce(audit_seconds, 0), :seconds)
-- dialect: postgres
UPDATE change_log SET audit_seconds = greatest(coalesce(audit_seconds, 0), :seconds)

-- Events are kept so long.
-- name: set_audit
UPDATE change_log SET audit_seconds = :seconds

-- The chain begins (again) at the first event that is kept.
-- name: begin_chain
UPDATE change_log SET sealed = lost, sealed_hash = :hash, lost_hash = :hash

-- Events that are not in the chain yet, with the hash that the first of them takes up. PostgreSQL: one transaction at a
-- time does it, the others leave it to the next.
-- name: list_unsealed_changes
-- dialect: sqlite
SELECT changes.*, change_log.sealed_hash FROM changes CROSS JOIN change_log
WHERE changes.seq > (SELECT sealed FROM change_log) AND changes.type IS NOT NULL AND change_log.audit_seconds IS NOT NULL
ORDER BY changes.seq LIMIT :limit
-- dialect: postgres
WITH head AS (
    SELECT sealed, sealed_hash FROM change_log WHERE audit_seconds IS NOT NULL FOR NO KEY UPDATE SKIP LOCKED)
SELECT next.*, head.sealed_hash FROM head CROSS JOIN LATERAL (
    SELECT * FROM changes WHERE changes.seq > head.sealed AND changes.type IS NOT NULL
    ORDER BY changes.seq LIMIT :limit) AS next
ORDER BY next.seq

-- Chains an event to the one before it.
-- name: seal_change
UPDATE changes SET chain = :chain WHERE seq = :seq

-- How far the chain reaches.
-- name: set_sealed
UPDATE change_log SET sealed = :seq, sealed_hash = :hash

-- A page of events for checking the chain.
-- name: list_chained_changes
SELECT * FROM changes WHERE seq > :after AND type IS NOT NULL ORDER BY seq LIMIT :limit

-- The first events, in their order, with what chains them.
-- name: list_oldest_changes
SELECT seq, at, chain FROM changes WHERE type IS NOT NULL ORDER BY seq LIMIT :limit

-- Forgets all rows before one, which stays.
-- name: delete_changes_before
DELETE FROM changes WHERE seq < :seq

-- Which event was the last to be forgotten, and its hash.
-- name: set_lost
UPDATE change_log SET lost = :seq, lost_hash = :hash

-- ── health ───────────────────────────────────────────────────────────────────────────────────────────────

-- A row that is gone before anybody can see it, so that something is written: SQLite leaves out an update to what
-- stands there already.
-- name: insert_probe
INSERT INTO authstore_migrations (version, name, sha256, applied_at)
SELECT 0, 'health', sha256, applied_at FROM authstore_migrations WHERE version = 1

-- Takes that row away.
-- name: delete_probe
DELETE FROM authstore_migrations WHERE version = 0

-- ── the schema's own books ───────────────────────────────────────────────────────────────────────────────

-- Which migrations ran.
-- name: list_migrations
SELECT version, name, sha256 FROM authstore_migrations ORDER BY version

-- Notes that a migration ran.
-- name: insert_migration
INSERT INTO authstore_migrations (version, name, sha256, applied_at) VALUES (:version, :name, :sha256, :applied_at)

-- ── what whoever looks after the store noted ─────────────────────────────────────────────────────────────

-- Notes something under a name, in the place of what was noted there.
-- name: put_note
INSERT INTO authstore_notes (name, at, data) VALUES (:name, :at, :data)
ON CONFLICT (name) DO UPDATE SET at = excluded.at, data = excluded.data

-- What was noted under a name, and when.
-- name: get_note
SELECT at, data FROM authstore_notes WHERE name = :name

-- ── for whoever is on call ───────────────────────────────────────────────────────────────────────────────

-- How many sessions there are, and how many of them live.
-- name: count_living_sessions
SELECT count(*) AS total, count(*) FILTER (
    WHERE expires > :now AND created_at > :created_after AND last_used_at > :used_after) AS living
FROM sessions

-- The same of a sample: of two hundred places of the table, one in each part of it, or of a hundredth of its pages.
-- name: sample_living_sessions
-- dialect: sqlite
WITH RECURSIVE ends AS MATERIALIZED (
    SELECT (SELECT min(rowid) FROM sessions) AS first, (SELECT max(rowid) FROM sessions) AS last),
places (number, place) AS (
    SELECT 1, first + abs(random() % (last - first + 1)) / 200 FROM ends
    UNION ALL SELECT number + 1, first + ((last - first + 1) * number + abs(random() % (last - first + 1))) / 200
    FROM places CROSS JOIN ends WHERE number < 200)
SELECT count(*) AS total, count(*) FILTER (
    WHERE expires > :now AND created_at > :created_after AND last_used_at > :used_after) AS living
FROM places CROSS JOIN sessions ON sessions.rowid BETWEEN places.place AND places.place + 99
-- dialect: postgres
SELECT count(*) AS total, count(*) FILTER (
    WHERE expires > :now AND created_at > :created_after AND last_used_at > :used_after) AS living
FROM sessions TABLESAMPLE SYSTEM (1)

-- Rows that belong to something which is not there, by table.
-- name: count_orphans
-- dialect: sqlite
SELECT "table" AS name, count(*) AS orphans FROM pragma_foreign_key_check GROUP BY "table" ORDER BY "table"
-- dialect: postgres
SELECT name, count(*) AS orphans FROM (
    SELECT 'accounts' AS name FROM accounts WHERE NOT EXISTS (SELECT FROM users WHERE id = accounts.user_id)
    UNION ALL SELECT 'authenticators' FROM authenticators
        WHERE NOT EXISTS (SELECT FROM users WHERE id = authenticators.user_id)
    UNION ALL SELECT 'role_permissions' FROM role_permissions
        WHERE NOT EXISTS (SELECT FROM roles WHERE name = role_permissions.role_name)
    UNION ALL SELECT 'sessions' FROM sessions WHERE NOT EXISTS (SELECT FROM users WHERE id = sessions.user_id)
    UNION ALL SELECT 'user_roles' FROM user_roles
        WHERE NOT EXISTS (SELECT FROM users WHERE id = user_roles.user_id)
            OR NOT EXISTS (SELECT FROM roles WHERE name = user_roles.role_name)) AS found
GROUP BY name ORDER BY name

-- A page of all accounts.
-- name: scan_accounts
SELECT * FROM accounts WHERE id > :after ORDER BY id LIMIT :limit

-- A page of all sessions.
-- name: scan_all_sessions
SELECT * FROM sessions WHERE id > :after ORDER BY id LIMIT :limit

-- A page of all visits.
-- name: scan_all_visits
SELECT * FROM visits WHERE id > :after ORDER BY id LIMIT :limit

-- A page of all verification tokens.
-- name: scan_all_verification_tokens
SELECT * FROM verification_tokens WHERE id > :after ORDER BY id LIMIT :limit

-- A page of all passkeys.
-- name: scan_authenticators
SELECT * FROM authenticators WHERE credential_id > :after ORDER BY credential_id LIMIT :limit

-- Provider tokens by the beginning of what is sealed, which names the key; under NULL those that are plain.
-- name: count_provider_tokens
SELECT substr(sealed, 1, 9) AS prefix, count(*) AS tokens FROM (
    SELECT access_token AS plain, access_token_encrypted AS sealed FROM accounts
    UNION ALL SELECT refresh_token, refresh_token_encrypted FROM accounts
    UNION ALL SELECT id_token, id_token_encrypted FROM accounts) AS held
WHERE plain IS NOT NULL OR sealed IS NOT NULL
GROUP BY 1

-- When the newest user and the newest session were made, and the store itself.
-- name: get_newest
SELECT (SELECT created_at FROM users ORDER BY id DESC LIMIT 1) AS newest_user,
    (SELECT created_at FROM sessions ORDER BY id DESC LIMIT 1) AS newest_session,
    (SELECT applied_at FROM authstore_migrations WHERE version = 1) AS made

-- ── for the console ──────────────────────────────────────────────────────────────────────────────────────

-- Of each span of ids its sessions, counted from its beginning up to so many: how many, how many of them live, and the
-- last one; as one JSON array.
-- name: count_sessions_by_span
-- dialect: sqlite
SELECT json_group_array(json(counted)) AS counts FROM (
    SELECT (
        SELECT json_array(span.key, count(*), count(*) FILTER (
            WHERE expires > :now AND created_at > :created_after AND last_used_at > :used_after), max(id))
        FROM (
            SELECT id, expires, created_at, last_used_at FROM sessions
            WHERE id >= json_extract(span.value, '$[0]') AND id < json_extract(span.value, '$[1]')
            ORDER BY id LIMIT :most) AS few) AS counted
    FROM json_each(:spans) AS span) AS spans
-- dialect: postgres
SELECT CAST(json_agg(json_build_array(span.place - 1, counted, living, last)) AS text) AS counts
FROM json_array_elements(:spans) WITH ORDINALITY AS span (ends, place)
CROSS JOIN LATERAL (
    SELECT count(*) AS counted, max(id) AS last, count(*) FILTER (
        WHERE expires > :now AND created_at > :created_after AND last_used_at > :used_after) AS living
    FROM (
        SELECT id, expires, created_at, last_used_at FROM sessions
        WHERE id >= span.ends ->> 0 AND id < span.ends ->> 1
        ORDER BY id LIMIT :most) AS few) AS found

-- How many sessions ended in each hour, as far as the log from this row on tells; as one JSON array.
-- name: count_endings_by_hour
-- dialect: sqlite
SELECT json_group_array(json_array(hour, endings)) AS counts FROM (
    SELECT substr(at, 1, 13) AS hour, count(*) FILTER (WHERE type = 'session.ended') AS endings
    FROM changes WHERE seq >= :since GROUP BY 1) AS hours
-- dialect: postgres
SELECT CAST(json_agg(json_build_array(hour, endings)) AS text) AS counts FROM (
    SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24') AS hour,
        count(*) FILTER (WHERE type = 'session.ended') AS endings
    FROM changes WHERE seq >= :since GROUP BY 1) AS hours

-- The events of a stretch of the log, newest first.
-- name: list_newest_events
SELECT * FROM changes WHERE seq >= :since AND seq < :before AND type IS NOT NULL ORDER BY seq DESC LIMIT :limit

-- Those of them that are about one user.
-- name: list_newest_events_of_user
SELECT * FROM changes
WHERE seq >= :since AND seq < :before AND type IS NOT NULL AND user_id = :user_id
ORDER BY seq DESC LIMIT :limit

-- A page of the living sessions of a user, newest first, by a connection that nobody waits for.
-- name: list_user_sessions_before
SELECT * FROM sessions
WHERE user_id = :user_id AND (created_at, id) < (:before, :before_id)
    AND expires > :now AND created_at > :created_after AND last_used_at > :used_after
ORDER BY created_at DESC, id DESC LIMIT :limit
