-- 0003 change log: what happened, in the order of commits, whoever wrote it. Triggers keep it, so that plain SQL is
-- seen too; caches, events, audit and `why_ended` read it. A store says who writes and when (change_log.acting_at,
-- actor) before it does, and takes it back; a row that changes without was changed by SQL.

PRAGMA user_version = 3;

-- type NULL: a row that is no event (a use of a session, the beginning). nonce: a file that was restored over may have
-- the same numbers, not the same rows. chain: with an audit, the SHA-256 of the event before.
CREATE TABLE changes (
    seq INTEGER PRIMARY KEY,
    at TEXT NOT NULL CHECK (at GLOB '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'),
    type TEXT CHECK (type <> ''),
    user_id TEXT,
    session_id TEXT,
    reason TEXT,
    actor TEXT,
    data TEXT CHECK (json_type(data) = 'object'),
    nonce INTEGER NOT NULL DEFAULT (random()),
    chain BLOB CHECK (length(chain) = 32)
) STRICT;

-- One row. audit_seconds: how long events are kept, NULL: the last 10 000 rows. displacing, displaced_from: a row that
-- is being written in the place of others, and its first row in the log. lost: the newest event that is no longer
-- kept, and its hash; sealed: the newest event that is in the chain, and its hash.
CREATE TABLE change_log (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    audit_seconds INTEGER CHECK (audit_seconds > 0),
    acting_at TEXT CHECK (acting_at GLOB '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'),
    actor TEXT,
    is_using INTEGER NOT NULL DEFAULT 0 CHECK (is_using IN (0, 1)),
    displacing TEXT,
    displaced_from INTEGER,
    lost INTEGER NOT NULL DEFAULT 0,
    lost_hash BLOB CHECK (length(lost_hash) = 32),
    sealed INTEGER NOT NULL DEFAULT 0,
    sealed_hash BLOB CHECK (length(sealed_hash) = 32)
) STRICT;
INSERT INTO change_log (id) VALUES (1);

-- Tokens that no longer sign anybody in: hashes, why, since when, by whom. at may lie ahead: the grace of a token that
-- was replaced. session_id: while that session lives, so that the old token's return is noticed.
CREATE TABLE ended_tokens (
    token_hash BLOB NOT NULL PRIMARY KEY CHECK (length(token_hash) = 32),
    reason TEXT NOT NULL CHECK (reason <> ''),
    at TEXT NOT NULL CHECK (at GLOB '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'),
    actor TEXT,
    session_id TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX ended_tokens_session_id ON ended_tokens (session_id) WHERE session_id IS NOT NULL;

INSERT INTO changes (at) VALUES (strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z');

-- Under an audit what is no event goes all the same, a stretch at a time: nobody walks through all that is kept.
CREATE TRIGGER changes_kept AFTER INSERT ON changes WHEN NEW.seq % 256 = 0 BEGIN
    UPDATE change_log SET lost = coalesce((SELECT max(seq) FROM changes WHERE seq <= NEW.seq - 10000 AND type IS NOT NULL), lost)
    WHERE audit_seconds IS NULL;
    DELETE FROM changes WHERE seq <= iif((SELECT audit_seconds FROM change_log) IS NULL, NEW.seq - 10000, 0);
    DELETE FROM changes WHERE seq BETWEEN NEW.seq - 12560 AND NEW.seq - 10000 AND type IS NULL;
END;
CREATE TRIGGER change_log_kept BEFORE DELETE ON change_log BEGIN
    SELECT raise(ABORT, 'the change log needs its one row');
END;

-- ── users ────────────────────────────────────────────────────────────────────────────────────────────────
-- REPLACE fires no trigger for the rows that it pushes out: they are noted before. Where the row is not written after
-- all (OR IGNORE, ON CONFLICT DO NOTHING) the note stays, as a row that is no event.

CREATE TRIGGER users_displaced_by_insert BEFORE INSERT ON users
WHEN EXISTS (SELECT 1 FROM users WHERE id = NEW.id) OR EXISTS (SELECT 1 FROM users WHERE email = NEW.email) BEGIN
    UPDATE change_log SET displacing = NEW.id, displaced_from = (SELECT max(seq) + 1 FROM changes);
    INSERT INTO changes (at, user_id, reason, actor)
    SELECT coalesce((SELECT acting_at FROM change_log), strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z'),
        users.id, iif(users.id = NEW.id, 'user.updated', 'user.deleted'),
        (SELECT iif(acting_at IS NULL, 'sql', actor) FROM change_log)
    FROM users WHERE users.id = NEW.id OR users.email = NEW.email;
END;
CREATE TRIGGER users_displaced_by_update BEFORE UPDATE ON users
WHEN (NEW.id <> OLD.id AND EXISTS (SELECT 1 FROM users WHERE id = NEW.id))
    OR (NEW.email IS NOT OLD.email AND EXISTS (SELECT 1 FROM users WHERE email = NEW.email)) BEGIN
    UPDATE change_log SET displacing = NEW.id, displaced_from = (SELECT max(seq) + 1 FROM changes);
    INSERT INTO changes (at, user_id, reason, actor)
    SELECT coalesce((SELECT acting_at FROM change_log), strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z'),
        users.id, 'user.deleted',
        (SELECT iif(acting_at IS NULL, 'sql', actor) FROM change_log)
    FROM users WHERE (users.id = NEW.id OR users.email = NEW.email) AND users.id <> OLD.id;
END;
CREATE TRIGGER users_displaced_inserted AFTER INSERT ON users WHEN (SELECT displacing IS NEW.id FROM change_log) BEGIN
    UPDATE changes SET type = reason, reason = NULL
    WHERE seq >= (SELECT displaced_from FROM change_log) AND type IS NULL AND reason IN ('user.updated', 'user.deleted');
    UPDATE change_log SET displacing = NULL, displaced_from = NULL;
END;
CREATE TRIGGER users_displaced_updated AFTER UPDATE ON users WHEN (SELECT displacing IS NEW.id FROM change_log) BEGIN
    UPDATE changes SET type = reason, reason = NULL
    WHERE seq >= (SELECT displaced_from FROM change_log) AND type IS NULL AND reason = 'user.deleted';
    UPDATE change_log SET displacing = NULL, displaced_from = NULL;
END;
CREATE TRIGGER users_inserted AFTER INSERT ON users WHEN (SELECT audit_seconds IS NOT NULL FROM change_log) BEGIN
    INSERT INTO changes (at, type, user_id, actor)
    SELECT coalesce((SELECT acting_at FROM change_log), strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z'),
        'user.created', NEW.id,
        (SELECT iif(acting_at IS NULL, 'sql', actor) FROM change_log) WHERE (SELECT audit_seconds FROM change_log) IS NOT NULL;
END;
CREATE TRIGGER users_renamed AFTER UPDATE ON users WHEN NEW.id <> OLD.id BEGIN
    INSERT INTO changes (at, user_id, actor) VALUES (coalesce((SELECT acting_at FROM change_log), strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z'),
        NEW.id,
        (SELECT iif(acting_at IS NULL, 'sql', actor) FROM change_log));
END;
CREATE TRIGGER users_updated AFTER UPDATE ON users BEGIN
    INSERT INTO changes (at, type, user_id, actor, data)
    SELECT coalesce((SELECT acting_at FROM change_log), strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z'),
        CASE WHEN NEW.disabled > OLD.disabled THEN 'user.disabled'
            WHEN NEW.disabled < OLD.disabled THEN 'user.enabled' ELSE 'user.updated' END,
        OLD.id, (SELECT iif(acting_at IS NULL, 'sql', actor) FROM change_log),
        (SELECT json_object('fields', json_group_array(field)) FROM (
            SELECT 'id' AS field WHERE NEW.id IS NOT OLD.id
            UNION ALL SELECT 'email' WHERE NEW.email IS NOT OLD.email
            UNION ALL SELECT 'email_verified' WHERE NEW.email_verified IS NOT OLD.email_verified
            UNION ALL SELECT 'name' WHERE NEW.name IS NOT OLD.name
            UNION ALL SELECT 'image' WHERE NEW.image IS NOT OLD.image
            UNION ALL SELECT 'disabled' WHERE NEW.disabled IS NOT OLD.disabled
            UNION ALL SELECT 'data' WHERE NEW.data IS NOT OLD.data));
END;
CREATE TRIGGER users_deleted AFTER DELETE ON users BEGIN
    INSERT INTO changes (at, type, user_id, actor) SELECT coalesce((SELECT acting_at FROM change_log), strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z'),
        'user.deleted', OLD.id,
        (SELECT iif(acting_at IS NULL, 'sql', actor) FROM change_log);
END;

-- ── sessions ─────────────────────────────────────────────────────────────────────────────────────────────

-- A store that signs somebody in who is not there, or disabled, says '' for the user: there is no such id, and no session.
CREATE TRIGGER sessions_displaced_by_insert BEFORE INSERT ON sessions
WHEN NEW.user_id = '' OR EXISTS (SELECT 1 FROM sessions WHERE id = NEW.id)
    OR (NEW.token_indexed AND EXISTS (SELECT 1 FROM sessions WHERE token_hash = NEW.token_hash AND token_indexed = 1)) BEGIN
    SELECT raise(IGNORE) WHERE NEW.user_id = '';
    UPDATE change_log SET displacing = NEW.id, displaced_from = (SELECT max(seq) + 1 FROM changes);
    INSERT INTO changes (at, user_id, session_id, reason, actor)
    SELECT coalesce((SELECT acting_at FROM change_log), strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z'),
        sessions.user_id, sessions.id, iif(sessions.id = NEW.id, 'session.changed', 'session.ended'),
        (SELECT iif(acting_at IS NULL, 'sql', actor) FROM change_log)
    FROM sessions
    WHERE sessions.id = NEW.id
        OR (NEW.token_indexed AND sessions.token_hash = NEW.token_hash AND sessions.token_indexed = 1);
END;
CREATE TRIGGER sessions_displaced_by_update BEFORE UPDATE ON sessions
WHEN (NEW.id <> OLD.id AND EXISTS (SELECT 1 FROM sessions WHERE id = NEW.id))
    OR (NEW.token_indexed AND (NEW.token_hash <> OLD.token_hash OR NOT OLD.token_indexed)
        AND EXISTS (SELECT 1 FROM sessions WHERE token_hash = NEW.token_hash AND token_indexed = 1)) BEGIN
    UPDATE change_log SET displacing = NEW.id, displaced_from = (SELECT max(seq) + 1 FROM changes);
    INSERT INTO changes (at, user_id, session_id, reason, actor)
    SELECT coalesce((SELECT acting_at FROM change_log), strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z'),
        sessions.user_id, sessions.id, 'session.ended',
        (SELECT iif(acting_at IS NULL, 'sql', actor) FROM change_log)
    FROM sessions
    WHERE sessions.id <> OLD.id AND (sessions.id = NEW.id
        OR (NEW.token_indexed AND sessions.token_hash = NEW.token_hash AND sessions.token_indexed = 1));
END;
CREATE TRIGGER sessions_displaced_updated AFTER UPDATE ON sessions WHEN (SELECT displacing IS NEW.id FROM change_log) BEGIN
    UPDATE changes SET type = reason, reason = 'revoked'
    WHERE seq >= (SELECT displaced_from FROM change_log) AND type IS NULL AND reason = 'session.ended';
    UPDATE change_log SET displacing = NULL, displaced_from = NULL;
END;
-- One for all that a new session may need, since each costs every sign-in.
CREATE TRIGGER sessions_inserted AFTER INSERT ON sessions
WHEN NEW.token_indexed OR (SELECT displacing IS NEW.id OR audit_seconds IS NOT NULL FROM change_log) BEGIN
    UPDATE changes SET type = reason, reason = iif(reason = 'session.ended', 'revoked', NULL)
    WHERE seq >= (SELECT displaced_from FROM change_log WHERE displacing = NEW.id)
        AND type IS NULL AND reason IN ('session.changed', 'session.ended');
    UPDATE change_log SET displacing = NULL, displaced_from = NULL WHERE displacing = NEW.id;
    INSERT INTO changes (at, type, user_id, session_id, actor)
    SELECT coalesce((SELECT acting_at FROM change_log), strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z'),
        'session.created', NEW.user_id, NEW.id,
        (SELECT iif(acting_at IS NULL, 'sql', actor) FROM change_log) WHERE (SELECT audit_seconds FROM change_log) IS NOT NULL;
    DELETE FROM ended_tokens WHERE NEW.token_indexed AND token_hash = NEW.token_hash;
END;
CREATE TRIGGER sessions_used AFTER UPDATE ON sessions
WHEN NEW.last_used_at IS NOT OLD.last_used_at AND NEW.id = OLD.id AND NEW.user_id = OLD.user_id
    AND NEW.token_hash = OLD.token_hash AND NEW.data = OLD.data BEGIN
    INSERT INTO changes (at, user_id, session_id) VALUES (NEW.last_used_at, NEW.user_id, NEW.id);
END;
CREATE TRIGGER sessions_renamed AFTER UPDATE ON sessions WHEN NEW.id <> OLD.id OR NEW.user_id <> OLD.user_id BEGIN
    INSERT INTO changes (at, user_id, session_id, actor) VALUES (coalesce((SELECT acting_at FROM change_log), strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z'),
        NEW.user_id, NEW.id,
        (SELECT iif(acting_at IS NULL, 'sql', actor) FROM change_log));
END;
CREATE TRIGGER sessions_rotated AFTER UPDATE ON sessions WHEN NEW.token_hash <> OLD.token_hash BEGIN
    DELETE FROM ended_tokens WHERE token_hash = NEW.token_hash;
    INSERT INTO ended_tokens (token_hash, reason, at, actor)
    SELECT OLD.token_hash, 'rotated', coalesce((SELECT acting_at FROM change_log), strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z'),
        (SELECT iif(acting_at IS NULL, 'sql', actor) FROM change_log)
    WHERE NOT EXISTS (SELECT 1 FROM ended_tokens WHERE token_hash = OLD.token_hash);
END;
CREATE TRIGGER sessions_changed AFTER UPDATE ON sessions
WHEN NEW.last_used_at IS OLD.last_used_at OR NEW.id <> OLD.id OR NEW.user_id <> OLD.user_id
    OR NEW.token_hash <> OLD.token_hash OR NEW.data <> OLD.data BEGIN
    INSERT INTO changes (at, type, user_id, session_id, actor)
    VALUES (coalesce((SELECT acting_at FROM change_log), strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z'),
        iif(NEW.token_hash <> OLD.token_hash, 'session.rotated', 'session.changed'),
        OLD.user_id, OLD.id, (SELECT iif(acting_at IS NULL, 'sql', actor) FROM change_log));
END;
-- Whoever ends a session through a store has said why in ended_tokens before.
CREATE TRIGGER sessions_deleted_by_sql BEFORE DELETE ON sessions
WHEN NOT EXISTS (SELECT 1 FROM ended_tokens WHERE token_hash = OLD.token_hash) BEGIN
    INSERT INTO ended_tokens (token_hash, reason, at, actor)
    VALUES (OLD.token_hash,
        CASE WHEN OLD.expires <= coalesce((SELECT acting_at FROM change_log), strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z') THEN 'expired'
            WHEN EXISTS (SELECT 1 FROM users WHERE id = OLD.user_id) THEN 'revoked' ELSE 'user-deleted' END,
        min(OLD.expires, coalesce((SELECT acting_at FROM change_log), strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z')),
        (SELECT iif(acting_at IS NULL, 'sql', actor) FROM change_log));
END;
CREATE TRIGGER sessions_deleted AFTER DELETE ON sessions BEGIN
    INSERT INTO changes (at, type, user_id, session_id, reason, actor)
    VALUES (coalesce((SELECT at FROM ended_tokens WHERE token_hash = OLD.token_hash), OLD.last_used_at),
        'session.ended', OLD.user_id, OLD.id,
        (SELECT reason FROM ended_tokens WHERE token_hash = OLD.token_hash),
        (SELECT actor FROM ended_tokens WHERE token_hash = OLD.token_hash));
END;
-- A replaced token that was still good, or that gave a theft away, ended with its session.
CREATE TRIGGER sessions_deleted_with_replaced AFTER DELETE ON sessions
WHEN EXISTS (SELECT 1 FROM ended_tokens WHERE session_id = OLD.id) BEGIN
    UPDATE ended_tokens SET (reason, at, actor) = (SELECT reason, at, actor FROM ended_tokens WHERE token_hash = OLD.token_hash)
    WHERE session_id = OLD.id
        AND ((SELECT reason FROM ended_tokens WHERE token_hash = OLD.token_hash) = 'stolen'
            OR at > (SELECT at FROM ended_tokens WHERE token_hash = OLD.token_hash));
    UPDATE ended_tokens SET session_id = NULL WHERE session_id = OLD.id;
END;

-- ── what hangs on a user: where the user goes too, that says it all ──────────────────────────────────────

CREATE TRIGGER accounts_inserted AFTER INSERT ON accounts BEGIN
    INSERT INTO changes (at, type, user_id, actor, data)
    SELECT coalesce((SELECT acting_at FROM change_log), strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z'),
        'account.linked', NEW.user_id,
        (SELECT iif(acting_at IS NULL, 'sql', actor) FROM change_log),
        json_object('account', NEW.id, 'provider', NEW.provider);
END;
CREATE TRIGGER accounts_updated AFTER UPDATE ON accounts
WHEN NEW.user_id <> OLD.user_id OR NEW.provider <> OLD.provider OR NEW.provider_account_id <> OLD.provider_account_id
    OR NEW.type <> OLD.type OR NEW.data <> OLD.data BEGIN
    INSERT INTO changes (at, type, user_id, actor, data)
    SELECT coalesce((SELECT acting_at FROM change_log), strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z'),
        'account.updated', NEW.user_id,
        (SELECT iif(acting_at IS NULL, 'sql', actor) FROM change_log),
        json_object('account', NEW.id, 'provider', NEW.provider);
END;
CREATE TRIGGER accounts_refreshed AFTER UPDATE ON accounts
WHEN (SELECT audit_seconds FROM change_log) IS NOT NULL
    AND (NEW.updated_at <> OLD.updated_at OR NEW.access_token IS NOT OLD.access_token
        OR NEW.refresh_token IS NOT OLD.refresh_token OR NEW.id_token IS NOT OLD.id_token) BEGIN
    INSERT INTO changes (at, type, user_id, actor, data)
    SELECT coalesce((SELECT acting_at FROM change_log), strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z'),
        'account.refreshed', NEW.user_id,
        (SELECT iif(acting_at IS NULL, 'sql', actor) FROM change_log),
        json_object('account', NEW.id, 'provider', NEW.provider);
END;
CREATE TRIGGER accounts_deleted AFTER DELETE ON accounts WHEN EXISTS (SELECT 1 FROM users WHERE id = OLD.user_id) BEGIN
    INSERT INTO changes (at, type, user_id, actor, data)
    SELECT coalesce((SELECT acting_at FROM change_log), strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z'),
        'account.unlinked', OLD.user_id,
        (SELECT iif(acting_at IS NULL, 'sql', actor) FROM change_log),
        json_object('account', OLD.id, 'provider', OLD.provider);
END;

CREATE TRIGGER verification_tokens_inserted AFTER INSERT ON verification_tokens
WHEN (SELECT audit_seconds FROM change_log) IS NOT NULL BEGIN
    INSERT INTO changes (at, type, user_id, actor, data)
    SELECT coalesce((SELECT acting_at FROM change_log), strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z'),
        'verification-token.created', (SELECT id FROM users WHERE email = NEW.identifier),
        (SELECT iif(acting_at IS NULL, 'sql', actor) FROM change_log),
        json_object('purpose', NEW.purpose);
END;
CREATE TRIGGER verification_tokens_used AFTER DELETE ON verification_tokens
WHEN (SELECT audit_seconds IS NOT NULL AND is_using FROM change_log) BEGIN
    INSERT INTO changes (at, type, user_id, actor, data)
    SELECT coalesce((SELECT acting_at FROM change_log), strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z'),
        'verification-token.used', (SELECT id FROM users WHERE email = OLD.identifier),
        (SELECT iif(acting_at IS NULL, 'sql', actor) FROM change_log),
        json_object('purpose', OLD.purpose);
END;

CREATE TRIGGER authenticators_inserted AFTER INSERT ON authenticators BEGIN
    INSERT INTO changes (at, type, user_id, actor, data)
    SELECT coalesce((SELECT acting_at FROM change_log), strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z'),
        'authenticator.created', NEW.user_id,
        (SELECT iif(acting_at IS NULL, 'sql', actor) FROM change_log),
        json_object('credential', NEW.credential_id);
END;
CREATE TRIGGER authenticators_deleted AFTER DELETE ON authenticators
WHEN EXISTS (SELECT 1 FROM users WHERE id = OLD.user_id) BEGIN
    INSERT INTO changes (at, type, user_id, actor, data)
    SELECT coalesce((SELECT acting_at FROM change_log), strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z'),
        'authenticator.deleted', OLD.user_id,
        (SELECT iif(acting_at IS NULL, 'sql', actor) FROM change_log),
        json_object('credential', OLD.credential_id);
END;

-- ── roles ────────────────────────────────────────────────────────────────────────────────────────────────

CREATE TRIGGER roles_inserted AFTER INSERT ON roles BEGIN
    INSERT INTO changes (at, type, actor, data)
    SELECT coalesce((SELECT acting_at FROM change_log), strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z'),
        'role.created',
        (SELECT iif(acting_at IS NULL, 'sql', actor) FROM change_log), json_object('role', NEW.name);
END;
CREATE TRIGGER roles_updated AFTER UPDATE ON roles BEGIN
    INSERT INTO changes (at, type, actor, data)
    SELECT coalesce((SELECT acting_at FROM change_log), strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z'),
        'role.changed',
        (SELECT iif(acting_at IS NULL, 'sql', actor) FROM change_log),
        iif(NEW.name = OLD.name, json_object('role', NEW.name), json_object('role', NEW.name, 'was', OLD.name));
END;
CREATE TRIGGER roles_deleted AFTER DELETE ON roles BEGIN
    INSERT INTO changes (at, type, actor, data)
    SELECT coalesce((SELECT acting_at FROM change_log), strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z'),
        'role.deleted',
        (SELECT iif(acting_at IS NULL, 'sql', actor) FROM change_log), json_object('role', OLD.name);
END;
-- A store that changes a role's permissions changes the role too, and leaves that one event.
CREATE TRIGGER role_permissions_inserted AFTER INSERT ON role_permissions BEGIN
    INSERT INTO changes (at, type, actor, data)
    SELECT coalesce((SELECT acting_at FROM change_log), strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z'),
        iif((SELECT acting_at FROM change_log) IS NULL, 'role.changed', NULL),
        (SELECT iif(acting_at IS NULL, 'sql', actor) FROM change_log), json_object('role', NEW.role_name);
END;
CREATE TRIGGER role_permissions_updated AFTER UPDATE ON role_permissions BEGIN
    INSERT INTO changes (at, type, actor, data)
    SELECT coalesce((SELECT acting_at FROM change_log), strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z'),
        iif((SELECT acting_at FROM change_log) IS NULL, 'role.changed', NULL),
        (SELECT iif(acting_at IS NULL, 'sql', actor) FROM change_log), json_object('role', NEW.role_name);
END;
CREATE TRIGGER role_permissions_deleted AFTER DELETE ON role_permissions BEGIN
    INSERT INTO changes (at, type, actor, data)
    SELECT coalesce((SELECT acting_at FROM change_log), strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z'),
        iif((SELECT acting_at FROM change_log) IS NULL AND EXISTS (SELECT 1 FROM roles WHERE name = OLD.role_name), 'role.changed', NULL),
        (SELECT iif(acting_at IS NULL, 'sql', actor) FROM change_log), json_object('role', OLD.role_name);
END;
CREATE TRIGGER user_roles_inserted AFTER INSERT ON user_roles BEGIN
    INSERT INTO changes (at, type, user_id, actor, data)
    SELECT coalesce((SELECT acting_at FROM change_log), strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z'),
        'role.granted', NEW.user_id,
        (SELECT iif(acting_at IS NULL, 'sql', actor) FROM change_log), json_object('role', NEW.role_name);
END;
CREATE TRIGGER user_roles_updated AFTER UPDATE ON user_roles BEGIN
    INSERT INTO changes (at, user_id, actor, data)
    SELECT coalesce((SELECT acting_at FROM change_log), strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z'),
        OLD.user_id,
        (SELECT iif(acting_at IS NULL, 'sql', actor) FROM change_log), json_object('role', OLD.role_name);
    INSERT INTO changes (at, user_id, actor, data)
    SELECT coalesce((SELECT acting_at FROM change_log), strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z'),
        NEW.user_id,
        (SELECT iif(acting_at IS NULL, 'sql', actor) FROM change_log), json_object('role', NEW.role_name);
END;
CREATE TRIGGER user_roles_deleted AFTER DELETE ON user_roles BEGIN
    INSERT INTO changes (at, type, user_id, actor, data)
    SELECT coalesce((SELECT acting_at FROM change_log), strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z'),
        iif(EXISTS (SELECT 1 FROM users WHERE id = OLD.user_id) AND EXISTS (SELECT 1 FROM roles WHERE name = OLD.role_name),
            'role.revoked', NULL),
        OLD.user_id, (SELECT iif(acting_at IS NULL, 'sql', actor) FROM change_log), json_object('role', OLD.role_name);
END;
