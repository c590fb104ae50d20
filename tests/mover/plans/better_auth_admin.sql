-- Better Auth with its admin and username plug-ins; written by hand. One of the two is banned.
CREATE TABLE "user" (
    id text PRIMARY KEY, name text NOT NULL, email text NOT NULL UNIQUE, "emailVerified" boolean NOT NULL, image text,
    "createdAt" timestamp NOT NULL, "updatedAt" timestamp NOT NULL, role text, banned boolean, "banReason" text,
    "banExpires" timestamp, username text UNIQUE, "displayUsername" text
);
CREATE TABLE session (
    id text PRIMARY KEY, "expiresAt" timestamp NOT NULL, token text NOT NULL UNIQUE, "createdAt" timestamp NOT NULL,
    "updatedAt" timestamp NOT NULL, "ipAddress" text, "userAgent" text, "userId" text NOT NULL REFERENCES "user" (id),
    "impersonatedBy" text
);
CREATE TABLE account (
    id text PRIMARY KEY, "accountId" text NOT NULL, "providerId" text NOT NULL, "userId" text NOT NULL REFERENCES "user" (id),
    "accessToken" text, "refreshToken" text, "idToken" text, "accessTokenExpiresAt" timestamp,
    "refreshTokenExpiresAt" timestamp, scope text, password text, "createdAt" timestamp NOT NULL, "updatedAt" timestamp NOT NULL
);
CREATE TABLE verification (
    id text PRIMARY KEY, identifier text NOT NULL, value text NOT NULL, "expiresAt" timestamp NOT NULL,
    "createdAt" timestamp, "updatedAt" timestamp
);
INSERT INTO "user" (id, name, email, "emailVerified", "createdAt", "updatedAt", role, banned) VALUES
    ('u1', 'Ada', 'ada@example.com', true, '2025-01-01', '2025-01-01', 'admin', false),
    ('u2', 'Bob', 'bob@example.com', false, '2025-01-01', '2025-01-01', 'user', true);
