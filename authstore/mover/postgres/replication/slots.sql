-- name: server
SELECT current_setting('server_version_num')::int, pg_is_in_recovery(), current_setting('wal_level'),
    (SELECT rolsuper OR rolreplication FROM pg_roles WHERE rolname = current_user)
        OR EXISTS (SELECT FROM pg_roles WHERE rolname = 'rds_replication' AND pg_has_role(oid, 'USAGE')),
    has_database_privilege(current_database(), 'CREATE'),
    (SELECT count(*) FROM pg_replication_slots WHERE slot_name <> %(slot)s) < current_setting('max_replication_slots')::int,
    (SELECT count(*) FROM pg_stat_replication) < current_setting('max_wal_senders')::int,
    current_user::text

-- name: tables
-- Whether a table can be published: permanent, and every part of it with a replica identity that the log speaks of.
SELECT n.nspname::text, c.relname::text, pg_has_role(c.relowner, 'USAGE'),
    c.relpersistence = 'p' AND NOT EXISTS (
        SELECT FROM (SELECT c.oid UNION SELECT relid FROM pg_partition_tree(c.oid)) AS part (oid)
        JOIN pg_class AS p ON p.oid = part.oid
        WHERE NOT CASE p.relreplident
            WHEN 'f' THEN TRUE
            WHEN 'd' THEN EXISTS (SELECT FROM pg_index WHERE indrelid = p.oid AND indisprimary AND indimmediate AND indisvalid)
            WHEN 'i' THEN EXISTS (SELECT FROM pg_index WHERE indrelid = p.oid AND indisreplident AND indisvalid)
            ELSE FALSE END)
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
    AND (n.nspname, c.relname) IN (SELECT * FROM unnest(%(schemas)s::text[], %(names)s::text[]))
ORDER BY 1, 2

-- name: leaves
-- Every table with the one that it is a part of, itself where it is whole.
SELECT n.nspname::text, c.relname::text, rn.nspname::text, r.relname::text
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_class AS r ON r.oid = COALESCE(pg_partition_root(c.oid), c.oid) JOIN pg_namespace AS rn ON rn.oid = r.relnamespace
WHERE c.relkind IN ('r', 'p')
    AND (rn.nspname, r.relname) IN (SELECT * FROM unnest(%(schemas)s::text[], %(names)s::text[]))
ORDER BY 1, 2

-- name: shape
-- Changes whenever a table, a column, a key, a partition or a replica identity does.
SELECT md5(COALESCE(string_agg(concat_ws(' ', c.oid, c.relname, c.relnamespace, c.relreplident, c.relispartition,
    c.relpersistence, attributes.all, indexes.all, constraints.all), ',' ORDER BY c.oid), ''))
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (SELECT string_agg(concat_ws(' ', attnum, attname, atttypid, atttypmod, attnotnull, atthasdef,
    attgenerated), ',' ORDER BY attnum) AS all FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0) AS attributes
CROSS JOIN LATERAL (SELECT string_agg(concat_ws(' ', indexrelid, indisunique, indisprimary, indisreplident), ','
    ORDER BY indexrelid) AS all FROM pg_index WHERE indrelid = c.oid) AS indexes
CROSS JOIN LATERAL (SELECT string_agg(concat_ws(' ', oid, convalidated), ',' ORDER BY oid) AS all FROM pg_constraint
    WHERE conrelid = c.oid) AS constraints
WHERE c.relkind IN ('r', 'p') AND n.nspname NOT LIKE 'pg\_%%' AND n.nspname <> 'information_schema'
    AND n.nspname NOT LIKE 'authstore\_%%'

-- name: publication
SELECT count(*) FROM pg_publication WHERE pubname = %(slot)s

-- name: slot
SELECT plugin::text, active, COALESCE(wal_status, ''), confirmed_flush_lsn::text, database = current_database(),
    COALESCE(pg_wal_lsn_diff(pg_current_wal_insert_lsn(), restart_lsn), 0)::bigint, safe_wal_size
FROM pg_replication_slots WHERE slot_name = %(slot)s

-- name: open_transactions
-- What keeps a slot from being made, the oldest first: whose it is, and for how many seconds it has been open.
SELECT who, floor(extract(epoch FROM now() - began))::bigint
FROM (
    SELECT concat_ws(' ', 'process', pid, 'of', usename, NULLIF(application_name, '')), xact_start
    FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()
    UNION ALL
    SELECT concat_ws(' ', 'prepared transaction', gid), prepared FROM pg_prepared_xacts
) AS open (who, began)
ORDER BY began

-- name: drop
SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %(slot)s
