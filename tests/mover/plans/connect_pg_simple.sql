-- Express with connect-pg-simple and users of its own; written by hand.
CREATE TABLE users (id serial PRIMARY KEY, email text NOT NULL UNIQUE, password_hash text NOT NULL, created_at timestamptz DEFAULT now());
CREATE TABLE session (sid varchar NOT NULL COLLATE "default", sess json NOT NULL, expire timestamp(6) NOT NULL, PRIMARY KEY (sid));
CREATE INDEX "IDX_session_expire" ON session (expire);
INSERT INTO users (email, password_hash) VALUES ('ada@example.com', 'h');
INSERT INTO session VALUES ('Kx7pQ2mZr9VtB4nYw8sLd3Hf6jGc1aEu', '{"cookie":{},"passport":{"user":1}}', '2099-01-01');
