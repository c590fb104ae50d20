-- What an application with Auth.js and Prisma has in PostgreSQL, with a table of its own, and some people in it.

CREATE TABLE "User" (id text PRIMARY KEY, name text, email text NOT NULL UNIQUE, "emailVerified" timestamp(3),
    image text, "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE "Account" ("userId" text NOT NULL REFERENCES "User" (id) ON DELETE CASCADE, type text NOT NULL,
    provider text NOT NULL, "providerAccountId" text NOT NULL, refresh_token text, access_token text,
    expires_at integer, token_type text, scope text, id_token text, session_state text,
    PRIMARY KEY (provider, "providerAccountId"));
CREATE TABLE "Session" ("sessionToken" text PRIMARY KEY, "userId" text NOT NULL REFERENCES "User" (id) ON DELETE CASCADE,
    expires timestamp(3) NOT NULL);
CREATE TABLE "VerificationToken" (identifier text NOT NULL, token text NOT NULL, expires timestamp(3) NOT NULL,
    PRIMARY KEY (identifier, token));
CREATE TABLE "Post" (id serial PRIMARY KEY, "authorId" text NOT NULL REFERENCES "User" (id) ON DELETE CASCADE,
    title text NOT NULL, tags text[] NOT NULL DEFAULT '{}', meta jsonb, "publishedAt" timestamptz);

INSERT INTO "User" (id, name, email, "emailVerified")
SELECT 'user-' || n, 'Person ' || n, 'Person' || n || '@Example.com', now() FROM generate_series(1, 5000) AS n;
INSERT INTO "Account" ("userId", type, provider, "providerAccountId", access_token, expires_at)
SELECT id, 'oidc', 'google', md5(id), 'ya29.' || md5(email), 1900000000 FROM "User";
INSERT INTO "Session" ("sessionToken", "userId", expires)
SELECT 'cookie-of-' || id || '-' || md5(id), id, now() + interval '20 days' FROM "User";
INSERT INTO "Post" ("authorId", title, tags, meta, "publishedAt")
SELECT id, 'On ' || name, ARRAY['hello', 'world'], '{"stars": 5}', now() FROM "User";
