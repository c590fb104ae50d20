-- 0001 initial: who the users are, and what hangs on them.
-- Instants are ISO-8601 text of one width, so that text order is time order. Everything that belongs to a user
-- goes with the user: the cascades are here, not in the program.

PRAGMA application_id = 1096111176; -- 'AUTH'
PRAGMA user_version = 1;

CREATE TABLE authstore_migrations (
    version INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL CHECK (length(sha256) = 64),
    applied_at TEXT NOT NULL CHECK (applied_at GLOB '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z')
) STRICT;

CREATE TABLE users (
    id TEXT NOT NULL PRIMARY KEY CHECK (id <> ''),
    email TEXT UNIQUE CHECK (email <> ''),
    email_verified TEXT CHECK (email_verified GLOB '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'),
    name TEXT,
    image TEXT,
    disabled INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
    data TEXT NOT NULL DEFAULT '{}' CHECK (json_type(data) = 'object'),
    created_at TEXT NOT NULL CHECK (created_at GLOB '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'),
    updated_at TEXT NOT NULL CHECK (updated_at GLOB '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z')
) STRICT;

-- A provider's tokens are plain or encrypted, never both. refresh_*: who is refreshing them now, until when,
-- and how often it was done.
CREATE TABLE accounts (
    id TEXT NOT NULL PRIMARY KEY CHECK (id <> ''),
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE ON UPDATE CASCADE,
    provider TEXT NOT NULL CHECK (provider <> ''),
    provider_account_id TEXT NOT NULL CHECK (provider_account_id <> ''),
    type TEXT NOT NULL CHECK (type IN ('oauth', 'oidc', 'email', 'webauthn', 'credentials')),
    access_token TEXT,
    access_token_encrypted BLOB,
    refresh_token TEXT,
    refresh_token_encrypted BLOB,
    id_token TEXT,
    id_token_encrypted BLOB,
    token_type TEXT,
    scope TEXT,
    session_state TEXT,
    expires_at TEXT CHECK (expires_at GLOB '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'),
    data TEXT NOT NULL DEFAULT '{}' CHECK (json_type(data) = 'object'),
    created_at TEXT NOT NULL CHECK (created_at GLOB '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'),
    updated_at TEXT NOT NULL CHECK (updated_at GLOB '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'),
    refresh_holder TEXT,
    refresh_until TEXT CHECK (refresh_until GLOB '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'),
    refresh_count INTEGER NOT NULL DEFAULT 0,
    UNIQUE (provider, provider_account_id),
    CHECK (access_token IS NULL OR access_token_encrypted IS NULL),
    CHECK (refresh_token IS NULL OR refresh_token_encrypted IS NULL),
    CHECK (id_token IS NULL OR id_token_encrypted IS NULL)
) STRICT;
CREATE INDEX accounts_user_id ON accounts (user_id);

-- Our own tokens name their row (id.secret) and are found by the time-ordered id; a token given by the
-- application or moved from elsewhere (token_indexed = 1) is found by its hash.
CREATE TABLE sessions (
    id TEXT NOT NULL PRIMARY KEY CHECK (id <> ''),
    token_hash BLOB NOT NULL CHECK (length(token_hash) = 32),
    token_indexed INTEGER NOT NULL DEFAULT 0 CHECK (token_indexed IN (0, 1)),
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE ON UPDATE CASCADE,
    expires TEXT NOT NULL CHECK (expires GLOB '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'),
    created_at TEXT NOT NULL CHECK (created_at GLOB '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'),
    last_used_at TEXT NOT NULL CHECK (last_used_at GLOB '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'),
    authenticated_at TEXT NOT NULL CHECK (authenticated_at GLOB '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'),
    ip TEXT,
    user_agent TEXT,
    data TEXT NOT NULL DEFAULT '{}' CHECK (json_type(data) = 'object')
) STRICT;
CREATE INDEX sessions_user_id ON sessions (user_id);
CREATE UNIQUE INDEX sessions_token_hash ON sessions (token_hash) WHERE token_indexed = 1;

CREATE TABLE verification_tokens (
    id INTEGER PRIMARY KEY,
    identifier TEXT NOT NULL CHECK (identifier <> ''),
    purpose TEXT NOT NULL CHECK (purpose <> ''),
    token_hash BLOB NOT NULL CHECK (length(token_hash) = 32),
    expires TEXT NOT NULL CHECK (expires GLOB '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'),
    data TEXT NOT NULL DEFAULT '{}' CHECK (json_type(data) = 'object'),
    created_at TEXT NOT NULL CHECK (created_at GLOB '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'),
    UNIQUE (identifier, purpose, token_hash)
) STRICT;

CREATE TABLE authenticators (
    credential_id TEXT NOT NULL PRIMARY KEY CHECK (credential_id <> ''),
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE ON UPDATE CASCADE,
    public_key BLOB NOT NULL,
    counter INTEGER NOT NULL CHECK (counter >= 0),
    device_type TEXT CHECK (device_type IN ('single_device', 'multi_device')),
    backed_up INTEGER NOT NULL DEFAULT 0 CHECK (backed_up IN (0, 1)),
    transports TEXT NOT NULL DEFAULT '[]' CHECK (json_type(transports) = 'array'),
    name TEXT,
    data TEXT NOT NULL DEFAULT '{}' CHECK (json_type(data) = 'object'),
    created_at TEXT NOT NULL CHECK (created_at GLOB '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'),
    last_used_at TEXT CHECK (last_used_at GLOB '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z')
) STRICT;
CREATE INDEX authenticators_user_id ON authenticators (user_id);

CREATE TABLE roles (
    name TEXT NOT NULL PRIMARY KEY CHECK (name <> ''),
    description TEXT,
    data TEXT NOT NULL DEFAULT '{}' CHECK (json_type(data) = 'object')
) STRICT;

CREATE TABLE permissions (
    resource TEXT NOT NULL CHECK (resource <> ''),
    action TEXT NOT NULL CHECK (action <> ''),
    PRIMARY KEY (resource, action)
) STRICT, WITHOUT ROWID;

CREATE TABLE role_permissions (
    role_name TEXT NOT NULL REFERENCES roles (name) ON DELETE CASCADE ON UPDATE CASCADE,
    resource TEXT NOT NULL,
    action TEXT NOT NULL,
    PRIMARY KEY (role_name, resource, action),
    FOREIGN KEY (resource, action) REFERENCES permissions (resource, action) ON DELETE CASCADE ON UPDATE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX role_permissions_permission ON role_permissions (resource, action);

CREATE TABLE user_roles (
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE ON UPDATE CASCADE,
    role_name TEXT NOT NULL REFERENCES roles (name) ON DELETE CASCADE ON UPDATE CASCADE,
    PRIMARY KEY (user_id, role_name)
) STRICT, WITHOUT ROWID;
CREATE INDEX user_roles_role_name ON user_roles (role_name, user_id);
