-- Laravel's first migration, with an application's own table; written by hand.
CREATE TABLE users (
    id bigserial PRIMARY KEY, name varchar(255) NOT NULL, email varchar(255) NOT NULL UNIQUE,
    email_verified_at timestamp(0), password varchar(255) NOT NULL, remember_token varchar(100),
    created_at timestamp(0), updated_at timestamp(0)
);
CREATE TABLE password_reset_tokens (email varchar(255) PRIMARY KEY, token varchar(255) NOT NULL, created_at timestamp(0));
CREATE TABLE sessions (
    id varchar(255) PRIMARY KEY, user_id bigint, ip_address varchar(45), user_agent text, payload text NOT NULL,
    last_activity integer NOT NULL
);
CREATE INDEX sessions_user_id_index ON sessions (user_id);
CREATE TABLE orders (id bigserial PRIMARY KEY, user_id bigint NOT NULL REFERENCES users, total numeric(12, 2) NOT NULL);
INSERT INTO users (name, email, password, created_at) VALUES ('Ada', 'ada@example.com', 'h', '2025-01-01 10:00');
INSERT INTO sessions VALUES ('abcdefghijklmnopqrstuvwxyz0123456789ABCD', 1, '192.0.2.7', 'Firefox', 'YTowOnt9', 1760000000);
INSERT INTO orders (user_id, total) VALUES (1, 9.90);
