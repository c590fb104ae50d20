-- Supabase's auth schema, the columns that matter; written by hand. One of the two is banned.
CREATE SCHEMA auth;
CREATE TABLE auth.users (
    instance_id uuid, id uuid PRIMARY KEY, aud varchar(255), role varchar(255), email varchar(255) UNIQUE,
    encrypted_password varchar(255), email_confirmed_at timestamptz, last_sign_in_at timestamptz,
    raw_app_meta_data jsonb, raw_user_meta_data jsonb, is_super_admin boolean, created_at timestamptz,
    updated_at timestamptz, phone text UNIQUE, banned_until timestamptz, is_anonymous boolean NOT NULL DEFAULT false
);
CREATE TABLE auth.identities (
    provider_id text NOT NULL, user_id uuid NOT NULL REFERENCES auth.users ON DELETE CASCADE, identity_data jsonb NOT NULL,
    provider text NOT NULL, last_sign_in_at timestamptz, created_at timestamptz, updated_at timestamptz,
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), UNIQUE (provider_id, provider)
);
CREATE TABLE auth.sessions (
    id uuid PRIMARY KEY, user_id uuid NOT NULL REFERENCES auth.users ON DELETE CASCADE, created_at timestamptz,
    updated_at timestamptz, not_after timestamptz, user_agent text, ip inet
);
CREATE TABLE auth.refresh_tokens (
    instance_id uuid, id bigserial PRIMARY KEY, token varchar(255) UNIQUE, user_id varchar(255), revoked boolean,
    created_at timestamptz, updated_at timestamptz, session_id uuid REFERENCES auth.sessions ON DELETE CASCADE
);
INSERT INTO auth.users (id, email, banned_until) VALUES
    ('00000000-0000-7000-8000-000000000001', 'ada@example.com', NULL),
    ('00000000-0000-7000-8000-000000000002', 'bob@example.com', '2099-01-01');
INSERT INTO auth.sessions (id, user_id, created_at) VALUES
    ('00000000-0000-7000-8000-000000000003', '00000000-0000-7000-8000-000000000001', '2025-01-01');
