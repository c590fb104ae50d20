-- fastapi-users on SQLAlchemy, with its database strategy and OAuth; written by hand. One of the two may not sign in.
CREATE TABLE "user" (
    id uuid PRIMARY KEY, email varchar(320) NOT NULL UNIQUE, hashed_password varchar(1024) NOT NULL,
    is_active boolean NOT NULL, is_superuser boolean NOT NULL, is_verified boolean NOT NULL
);
CREATE TABLE oauth_account (
    id uuid PRIMARY KEY, oauth_name varchar(100) NOT NULL, access_token varchar(1024) NOT NULL, expires_at integer,
    refresh_token varchar(1024), account_id varchar(320) NOT NULL, account_email varchar(320) NOT NULL,
    user_id uuid NOT NULL REFERENCES "user" ON DELETE CASCADE
);
CREATE TABLE accesstoken (
    token varchar(43) PRIMARY KEY, created_at timestamptz NOT NULL, user_id uuid NOT NULL REFERENCES "user" ON DELETE CASCADE
);
INSERT INTO "user" VALUES
    ('00000000-0000-7000-8000-000000000001', 'ada@example.com', 'h', true, false, true),
    ('00000000-0000-7000-8000-000000000002', 'bob@example.com', 'h', false, false, false);
INSERT INTO accesstoken VALUES ('abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG', now(), '00000000-0000-7000-8000-000000000001');
