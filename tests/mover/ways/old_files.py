"""SQLite files of other applications, as their tools make them."""

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

PRISMA = """
CREATE TABLE "User" (id TEXT NOT NULL PRIMARY KEY, name TEXT, email TEXT, "emailVerified" DATETIME,
    image TEXT, "createdAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE "Account" (id TEXT NOT NULL PRIMARY KEY, "userId" TEXT NOT NULL, type TEXT NOT NULL,
    provider TEXT NOT NULL, "providerAccountId" TEXT NOT NULL, refresh_token TEXT, access_token TEXT,
    expires_at INTEGER, scope TEXT,
    CONSTRAINT "Account_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User" (id) ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE "Session" (id TEXT NOT NULL PRIMARY KEY, "sessionToken" TEXT NOT NULL, "userId" TEXT NOT NULL,
    expires DATETIME NOT NULL, FOREIGN KEY ("userId") REFERENCES "User" (id));
CREATE TABLE "VerificationToken" (identifier TEXT NOT NULL, token TEXT NOT NULL, expires DATETIME NOT NULL);
CREATE TABLE "Post" (id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL, "authorId" TEXT REFERENCES "User" (id));
CREATE UNIQUE INDEX "Session_sessionToken_key" ON "Session" ("sessionToken");
CREATE INDEX "Post_title_idx" ON "Post" (title);
INSERT INTO "User" VALUES ('u1', 'Ada', 'Ada@Example.com', 1700000000123, NULL, '2024-01-02 03:04:05'),
    ('u2', NULL, 'bob@example.com', NULL, NULL, 1700000000000);
INSERT INTO "Account" VALUES ('a1', 'u1', 'oauth', 'github', '42', NULL, 'gho_x', 1900000000, 'read:user');
INSERT INTO "Session" VALUES ('s1', 'token-of-a-session-1', 'u1', 4000000000000),
    ('s2', 'token-of-a-session-2', 'u2', '2096-10-02T07:06:40.000Z'), ('s3', 'token-of-a-session-3', 'u2', 1000);
INSERT INTO "VerificationToken" VALUES ('ada@example.com', 'a-verification-token-1', 4000000000000);
INSERT INTO "Post" VALUES (7, 'Hello', 'u1');
"""
DRIZZLE = """
CREATE TABLE user (id text PRIMARY KEY NOT NULL, name text, email text UNIQUE, "emailVerified" integer,
    image text);
CREATE TABLE account ("userId" text NOT NULL, type text NOT NULL, provider text NOT NULL,
    "providerAccountId" text NOT NULL, access_token text, expires_at integer,
    PRIMARY KEY (provider, "providerAccountId"),
    FOREIGN KEY ("userId") REFERENCES user (id) ON UPDATE no action ON DELETE cascade);
CREATE TABLE session ("sessionToken" text PRIMARY KEY NOT NULL, "userId" text NOT NULL, expires integer NOT NULL,
    FOREIGN KEY ("userId") REFERENCES user (id) ON DELETE cascade);
CREATE TABLE "verificationToken" (identifier text NOT NULL, token text NOT NULL, expires integer NOT NULL,
    PRIMARY KEY (identifier, token));
CREATE TABLE authenticator ("credentialID" text NOT NULL UNIQUE, "userId" text NOT NULL,
    "providerAccountId" text NOT NULL, "credentialPublicKey" text NOT NULL, counter integer NOT NULL,
    "credentialDeviceType" text NOT NULL, "credentialBackedUp" integer NOT NULL, transports text,
    PRIMARY KEY ("userId", "credentialID"), FOREIGN KEY ("userId") REFERENCES user (id));
INSERT INTO user VALUES ('u1', 'Ada', 'ada@example.com', 1700000000000, NULL),
    ('u2', NULL, 'bob@example.com', NULL, NULL);
INSERT INTO account VALUES ('u1', 'oauth', 'github', '42', 'gho_x', 1900000000);
INSERT INTO session VALUES ('token-of-a-session-1', 'u1', 4000000000000), ('token-of-a-session-2', 'u2', 4000000000);
INSERT INTO authenticator VALUES ('AAEC-_8=', 'u1', 'x', 'AQID', 3, 'multiDevice', 1, 'usb,nfc');
"""
BETTER_AUTH = """
create table "user" ("id" text not null primary key, "name" text not null, "email" text not null unique,
    "emailVerified" integer not null, "image" text, "createdAt" date not null, "updatedAt" date not null);
create table "session" ("id" text not null primary key, "expiresAt" date not null, "token" text not null unique,
    "createdAt" date not null, "updatedAt" date not null, "ipAddress" text, "userAgent" text,
    "userId" text not null references "user" ("id") on delete cascade);
create table "account" ("id" text not null primary key, "accountId" text not null, "providerId" text not null,
    "userId" text not null references "user" ("id") on delete cascade, "accessToken" text, "refreshToken" text,
    "idToken" text, "accessTokenExpiresAt" date, "refreshTokenExpiresAt" date, "scope" text, "password" text,
    "createdAt" date not null, "updatedAt" date not null);
create table "verification" ("id" text not null primary key, "identifier" text not null, "value" text not null,
    "expiresAt" date not null, "createdAt" date not null, "updatedAt" date not null);
insert into "user" values
    ('u1', 'Ada', 'ada@example.com', 1, null, '2024-01-02T03:04:05.000Z', '2024-01-02T03:04:05.000Z'),
    ('u2', 'Bob', 'bob@example.com', 0, null, '2024-01-02T03:04:05.000Z', '2024-01-02T03:04:05.000Z');
insert into "session" values ('s1', '2096-10-02T07:06:40.000Z', 'token-of-a-session-1', '2024-01-02T03:04:05.000Z',
    '2024-01-02T03:04:05.000Z', '192.0.2.7', 'Firefox', 'u1'), ('s2', 4000000000000, 'token-of-a-session-2',
    1700000000000, 1700000000000, null, null, 'u2');
insert into "account" values ('a1', '42', 'github', 'u1', 'gho_x', null, null, null, null, null, 'scrypt:x', 1, 1);
insert into "verification" values ('v', 'x', 'y', 1, 1, 1);
"""
LUCIA = """
CREATE TABLE user (id TEXT NOT NULL PRIMARY KEY, username TEXT NOT NULL, email TEXT);
CREATE TABLE session (id TEXT NOT NULL PRIMARY KEY, expires_at INTEGER NOT NULL,
    user_id TEXT NOT NULL, FOREIGN KEY (user_id) REFERENCES user (id));
CREATE TABLE oauth_account (provider_id TEXT NOT NULL, provider_user_id TEXT NOT NULL, user_id TEXT NOT NULL,
    PRIMARY KEY (provider_id, provider_user_id), FOREIGN KEY (user_id) REFERENCES user (id));
INSERT INTO user VALUES ('u1', 'ada', 'ada@example.com'), ('u2', 'bob', NULL);
INSERT INTO oauth_account VALUES ('github', '42', 'u1');
INSERT INTO session VALUES ('token-of-a-session-1', 4000000000, 'u1');
"""
SHAPES = {"prisma": PRISMA, "drizzle": DRIZZLE, "better-auth": BETTER_AUTH, "lucia": LUCIA}


def made(folder: Path, shape: str, *more: str) -> str:
    path = folder / "old.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(shape)
        if "oauth_account" in shape:  # as the later guides have it
            hashed = hashlib.sha256(b"token-of-a-session-2").hexdigest()
            connection.execute("INSERT INTO session VALUES (?, 4000000000, 'u2')", (hashed,))
        for statement in more:
            connection.execute(statement)
        connection.commit()
    return f"sqlite:///{path}"
