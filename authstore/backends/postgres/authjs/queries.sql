-- The store's queries in the words of Auth.js's tables, under the same names; and those on tokens that stand there as
-- they are. In braces stands what the catalogue knows: {users} a table, {users.id} a column, {users.id:owner} the value
-- `owner` as that column holds it, {users.row} all that a model wants, {users!email} a column to set.

-- One user.
-- name: get_user
SELECT {users.row} FROM {users} WHERE {users.id} = {users.id:id}
-- dialect: postgres, to change
SELECT {users.row} FROM {users} WHERE {users.id} = {users.id:id} FOR NO KEY UPDATE

-- One user by address: as it should be written, else as somebody wrote it.
-- name: get_user_by_email
SELECT {users.row} FROM {users} WHERE {users.id} = coalesce(
    (SELECT {users.id} FROM {users} WHERE {users.email} = :email::text),
    (SELECT {users.id} FROM {users} WHERE lower({users.email}::text COLLATE "C") = :email::text ORDER BY 1 LIMIT 1))
-- dialect: postgres, to change
SELECT {users.row} FROM {users} WHERE {users.id} = coalesce(
    (SELECT {users.id} FROM {users} WHERE {users.email} = :email::text),
    (SELECT {users.id} FROM {users} WHERE lower({users.email}::text COLLATE "C") = :email::text ORDER BY 1 LIMIT 1))
FOR NO KEY UPDATE

-- The user who linked an account.
-- name: get_user_by_account
SELECT {users.row} FROM {users} JOIN {accounts} ON {accounts.user_id} = {users.id}
WHERE {accounts.provider} = :provider::text AND {accounts.provider_account_id} = :provider_account_id::text

-- A new user, unless its id or address is taken.
-- name: insert_user
INSERT INTO {users} ({users.names}) SELECT {users.values}
WHERE :email::text IS NULL OR NOT EXISTS (
    SELECT FROM {users} WHERE lower({users.email}::text COLLATE "C") = :email::text)
ON CONFLICT DO NOTHING

-- All that can change of a user.
-- name: update_user
UPDATE {users} SET {users.changes} WHERE {users.id} = {users.id:id}

-- A user, with what hangs on it: not every adapter has cascades.
-- name: delete_user
WITH of_accounts AS (DELETE FROM {accounts} WHERE {accounts.user_id} = {accounts.user_id:id}),
of_sessions AS (DELETE FROM {sessions} WHERE {sessions.user_id} = {sessions.user_id:id})
DELETE FROM {users} WHERE {users.id} = {users.id:id}
RETURNING {users.email}::text AS email

-- A page of users.
-- name: list_users
SELECT {users.row} FROM {users} WHERE :after::text = '' OR {users.order} > {users.id?after}
ORDER BY {users.order} LIMIT :limit::bigint

-- One account.
-- name: get_account
SELECT {accounts.row} FROM {accounts}
WHERE {accounts.provider} = :provider::text AND {accounts.provider_account_id} = :provider_account_id::text

-- A user's accounts.
-- name: list_accounts
SELECT {accounts.row} FROM {accounts} WHERE {accounts.user_id} = {accounts.user_id:user_id}
ORDER BY {accounts.made}, {accounts.provider}, {accounts.provider_account_id}

-- A new account.
-- name: insert_account
INSERT INTO {accounts} ({accounts.names}) VALUES ({accounts.values})

-- All that can change of an account.
-- name: update_account
UPDATE {accounts} SET {accounts.changes}
WHERE {accounts.provider} = :provider::text AND {accounts.provider_account_id} = :provider_account_id::text

-- Forgets an account.
-- name: delete_account
DELETE FROM {accounts}
WHERE {accounts.provider} = :provider::text AND {accounts.provider_account_id} = :provider_account_id::text

-- Forgets all accounts of a user.
-- name: delete_accounts
DELETE FROM {accounts} WHERE {accounts.user_id} = {accounts.user_id:user_id}

-- A new number, where users are counted.
-- name: next_user_id
SELECT nextval(pg_get_serial_sequence({users'name}, {users'id}))::text AS id

-- A new number, where accounts are counted.
-- name: next_account_id
SELECT nextval(pg_get_serial_sequence({accounts'name}, {accounts'id}))::text AS id

-- ── sessions, by the token that stands there ─────────────────────────────────────────────────────────────

-- A new session, where there is such a user, unless its token is taken.
-- name: insert_session
INSERT INTO {sessions} ({sessions.names}) SELECT {sessions.values}
FROM {users} WHERE {users.id} = {users.id:user_id} FOR SHARE OF users
ON CONFLICT DO NOTHING
RETURNING {sessions.row}

-- Makes room for a token that a dead session has.
-- name: delete_dead_session
DELETE FROM {sessions} WHERE {sessions.token} = :token::text AND {sessions.expires} <= {sessions.expires:now}

-- The session of a token, with its user.
-- name: session_and_user
SELECT {sessions.row}, {users.prefixed} FROM {sessions} JOIN {users} ON {users.id} = {sessions.user_id}
WHERE {sessions.token} = :token::text

-- Another expiry.
-- name: move_expiry
UPDATE {sessions} SET {sessions!expires} = {sessions.expires:expires}
WHERE {sessions.token} = :token::text AND {sessions.expires} > {sessions.expires:now}
RETURNING {sessions.row}

-- Another token, of a living session.
-- name: replace_token
UPDATE {sessions} SET {sessions!token} = :new::text
WHERE {sessions.token} = :token::text AND {sessions.expires} > {sessions.expires:now}
RETURNING {sessions.row}

-- Ends the session of a token.
-- name: delete_session_by_token
DELETE FROM {sessions} WHERE {sessions.token} = :token::text

-- Ends one session.
-- name: delete_session
DELETE FROM {sessions} WHERE {sessions.known} = :id::text

-- Ends a user's sessions, save one.
-- name: delete_sessions_of_user
DELETE FROM {sessions} WHERE {sessions.user_id} = {sessions.user_id:user_id} AND {sessions.token} <> :except_token::text

-- A user's sessions, save one.
-- name: list_session_ids
SELECT {sessions.known} AS id FROM {sessions}
WHERE {sessions.user_id} = {sessions.user_id:user_id} AND {sessions.known} <> :except_id::text

-- Nobody has more than one transaction should end.
-- name: count_sessions
SELECT least(count(*), :most::bigint) AS counted FROM {sessions}
WHERE {sessions.user_id} = {sessions.user_id:user_id} AND false

-- Ends these sessions.
-- name: delete_sessions
DELETE FROM {sessions} WHERE {sessions.known} IN (SELECT json_array_elements_text(:ids::json))

-- A page of a user's living sessions, newest first.
-- name: list_sessions_of_user
SELECT {sessions.row} FROM {sessions}
WHERE {sessions.user_id} = {sessions.user_id:user_id} AND {sessions.expires} > {sessions.expires:now}
    AND ({sessions.made}, {sessions.known} COLLATE "C") < ({sessions.expires:before}, :before_id::text)
ORDER BY {sessions.made} DESC, {sessions.known} COLLATE "C" DESC LIMIT :limit::bigint

-- Some dead sessions go.
-- name: delete_some_dead_sessions
DELETE FROM {sessions} WHERE {sessions.token} IN (
    SELECT {sessions.token} FROM {sessions} WHERE {sessions.expires} <= {sessions.expires:now} LIMIT :limit::bigint)

-- How many are dead.
-- name: count_dead
SELECT count(*) AS counted FROM {sessions} WHERE {sessions.expires} <= {sessions.expires:now}

-- ── verification tokens, as they stand there ─────────────────────────────────────────────────────────────

-- A new token, unless it is taken.
-- name: insert_token
INSERT INTO {verification_tokens} ({verification_tokens.names}) VALUES ({verification_tokens.values})
ON CONFLICT DO NOTHING

-- Makes room for a token whose text a dead one has.
-- name: delete_dead_token
DELETE FROM {verification_tokens} WHERE {verification_tokens.identifier} = :identifier::text
    AND {verification_tokens.token} = :token::text AND {verification_tokens.expires} <= {verification_tokens.expires:now}

-- One token, not used.
-- name: get_token
SELECT {verification_tokens.row} FROM {verification_tokens}
WHERE {verification_tokens.identifier} = :identifier::text AND {verification_tokens.token} = :token::text

-- Takes a token: whoever gets the row has used it.
-- name: take_token
DELETE FROM {verification_tokens}
WHERE {verification_tokens.identifier} = :identifier::text AND {verification_tokens.token} = :token::text
RETURNING {verification_tokens.row}

-- All tokens of an identifier.
-- name: delete_verification_tokens
DELETE FROM {verification_tokens} WHERE {verification_tokens.identifier} = :identifier::text

-- Some dead tokens go.
-- name: delete_some_dead_tokens
DELETE FROM {verification_tokens} WHERE ctid IN (SELECT ctid FROM {verification_tokens}
    WHERE {verification_tokens.expires} <= {verification_tokens.expires:now} LIMIT :limit::bigint)

-- ── passkeys, whose bytes are base64 here ────────────────────────────────────────────────────────────────

-- A new passkey, unless somebody has it.
-- name: insert_authenticator
INSERT INTO {authenticators} ({authenticators.names}) VALUES ({authenticators.values})
ON CONFLICT DO NOTHING

-- One passkey.
-- name: get_authenticator
SELECT {authenticators.row} FROM {authenticators}
WHERE {authenticators.credential_id} = {authenticators.credential_id:credential_id}

-- A user's passkeys.
-- name: list_authenticators
SELECT {authenticators.row} FROM {authenticators}
WHERE {authenticators.user_id} = {authenticators.user_id:user_id} ORDER BY {authenticators.credential_id}

-- Moves the counter on, if it grew or neither side counts.
-- name: advance_counter
UPDATE {authenticators} SET {authenticators!counter} = :counter::bigint
WHERE {authenticators.credential_id} = {authenticators.credential_id:credential_id}
    AND ({authenticators.counter} < :counter::bigint OR ({authenticators.counter} = 0 AND :counter::bigint = 0))
RETURNING {authenticators.row}

-- Forgets a passkey.
-- name: delete_authenticator
DELETE FROM {authenticators} WHERE {authenticators.credential_id} = {authenticators.credential_id:credential_id}

-- Forgets all passkeys of a user.
-- name: delete_authenticators
DELETE FROM {authenticators} WHERE {authenticators.user_id} = {authenticators.user_id:user_id}
