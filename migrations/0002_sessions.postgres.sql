-- 0002 sessions: the expiry that was asked for. Without a lifetime a touch moves `expires`, but never beyond this.

ALTER TABLE sessions ADD COLUMN expires_asked timestamptz;
