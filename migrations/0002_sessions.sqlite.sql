-- 0002 sessions: the expiry that was asked for. Without a lifetime a touch moves `expires`, but never beyond this.

PRAGMA user_version = 2;

-- No row has one yet. To have SQLite make sure of that, check by check, would hold up every writer for seconds where there
-- are a million sessions.
PRAGMA ignore_check_constraints = ON;
ALTER TABLE sessions ADD COLUMN expires_asked TEXT CHECK (expires_asked GLOB '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z');
PRAGMA ignore_check_constraints = OFF;
