-- What tables are in Postgres, as text by which they can be made again. %(tables)s: text[] of quoted names.

-- name: database
SELECT jsonb_build_object(
    'version', current_setting('server_version_num')::int,
    'encoding', pg_encoding_to_char(d.encoding),
    'extensions', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('name', e.extname, 'version', e.extversion, 'schema', n.nspname)
                                  ORDER BY e.extname COLLATE "C"), '[]')
        FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname <> 'plpgsql'),
    'collations', (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'schema', n.nspname, 'name', o.collname, 'provider', o.collprovider, 'deterministic', o.collisdeterministic,
            'locale', coalesce(to_jsonb(o) ->> 'colllocale', to_jsonb(o) ->> 'colliculocale', to_jsonb(o) ->> 'collcollate')
        ) ORDER BY n.nspname COLLATE "C", o.collname COLLATE "C"), '[]')
        FROM pg_collation o JOIN pg_namespace n ON n.oid = o.collnamespace
        WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'))::text
FROM pg_database d WHERE d.datname = current_database();

-- name: types
WITH RECURSIVE used (oid) AS (
    SELECT a.atttypid FROM pg_attribute a
    WHERE a.attrelid = ANY (%(tables)s::regclass[]) AND a.attnum > 0 AND NOT a.attisdropped
    UNION
    SELECT part.oid FROM used JOIN pg_type t ON t.oid = used.oid CROSS JOIN LATERAL (
        SELECT t.typelem UNION ALL SELECT t.typbasetype
        UNION ALL SELECT r.rngsubtype FROM pg_range r WHERE r.rngtypid = t.oid
        UNION ALL SELECT a.atttypid FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
    ) AS part (oid) WHERE part.oid <> 0
)
SELECT jsonb_build_object(
    'schema', n.nspname, 'name', t.typname, 'kind', t.typtype,
    'labels', (SELECT jsonb_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid),
    'base', CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END,
    'default', t.typdefault, 'not_null', t.typnotnull,
    'checks', (SELECT jsonb_agg(jsonb_build_object('name', k.conname, 'definition', pg_get_constraintdef(k.oid))
                                ORDER BY k.conname COLLATE "C")
               FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c'),
    'attributes', (SELECT jsonb_agg(jsonb_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod))
                                    ORDER BY a.attnum)
                   FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped),
    'subtype', (SELECT format_type(r.rngsubtype, NULL) FROM pg_range r WHERE r.rngtypid = t.oid))::text
FROM used JOIN pg_type t ON t.oid = used.oid JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE t.typtype IN ('e', 'd', 'c', 'r') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = 'pg_type'::regclass AND x.objid = t.oid AND x.deptype = 'e')
ORDER BY t.oid;

-- name: views
-- Over these tables, or over a view that is: those that others look at first.
WITH RECURSIVE over (oid) AS (
    SELECT unnest(%(tables)s::regclass[])::oid
    UNION
    SELECT r.ev_class FROM over JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = over.oid
        AND d.classid = 'pg_rewrite'::regclass JOIN pg_rewrite r ON r.oid = d.objid
)
SELECT jsonb_build_object('schema', n.nspname, 'name', c.relname, 'definition', pg_get_viewdef(c.oid))::text
FROM over JOIN pg_class c ON c.oid = over.oid AND c.relkind = 'v' JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
ORDER BY c.oid;

-- name: tables
SELECT n.nspname::text, c.relname::text, jsonb_build_object(
    'schema', n.nspname, 'name', c.relname,
    'unlogged', c.relpersistence = 'u',
    'partition_key', pg_get_partkeydef(c.oid),
    'inherits', ARRAY(SELECT format('%%I.%%I', pn.nspname, p.relname) FROM pg_inherits h JOIN pg_class p ON p.oid = h.inhparent
                      JOIN pg_namespace pn ON pn.oid = p.relnamespace
                      WHERE h.inhrelid = c.oid AND NOT c.relispartition ORDER BY h.inhseqno),
    'columns', (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'not_null', a.attnotnull,
            'default', CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END,
            'generated', CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) END,
            'stored', a.attgenerated = 's', 'identity', a.attidentity,
            'collation', CASE WHEN a.attcollation <> 0 AND a.attcollation <> t.typcollation THEN (
                SELECT format('%%I.%%I', cn.nspname, o.collname) FROM pg_collation o
                JOIN pg_namespace cn ON cn.oid = o.collnamespace WHERE o.oid = a.attcollation) END
        ) ORDER BY a.attnum), '[]')
        FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
    'sequences', (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'column', a.attname, 'name', format('%%I.%%I', sn.nspname, s.relname), 'owned', f.owned,
            'type', format_type(q.seqtypid, NULL), 'start', q.seqstart, 'step', q.seqincrement, 'min', q.seqmin,
            'max', q.seqmax, 'cache', q.seqcache, 'cycle', q.seqcycle,
            'position', (SELECT v.last_value FROM pg_sequences v
                         WHERE v.schemaname = sn.nspname AND v.sequencename = s.relname)
        ) ORDER BY a.attnum, s.oid), '[]')
        FROM (SELECT p.objid AS oid, p.refobjsubid AS number, true AS owned FROM pg_depend p
              WHERE p.classid = 'pg_class'::regclass AND p.refclassid = 'pg_class'::regclass AND p.refobjid = c.oid
                AND p.refobjsubid > 0 AND p.deptype IN ('a', 'i')
              UNION
              SELECT p.refobjid, d.adnum, false FROM pg_attrdef d JOIN pg_depend p ON p.objid = d.oid
              WHERE d.adrelid = c.oid AND p.classid = 'pg_attrdef'::regclass AND p.refclassid = 'pg_class'::regclass
                AND NOT EXISTS (SELECT FROM pg_depend o WHERE o.classid = 'pg_class'::regclass AND o.objid = p.refobjid
                                AND o.refobjid = c.oid AND o.refobjsubid = d.adnum AND o.deptype IN ('a', 'i'))) AS f
        JOIN pg_class s ON s.oid = f.oid AND s.relkind = 'S'
        JOIN pg_namespace sn ON sn.oid = s.relnamespace
        JOIN pg_sequence q ON q.seqrelid = s.oid
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = f.number),
    'constraints', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('name', k.conname, 'kind', k.contype,
                                                     'definition', pg_get_constraintdef(k.oid))
                                  ORDER BY position(k.contype IN 'pucxf'), k.conname COLLATE "C"), '[]')
        FROM pg_constraint k
        WHERE k.conrelid = c.oid AND k.contype IN ('p', 'u', 'c', 'x', 'f') AND k.conparentid = 0),
    'indexes', (
        SELECT coalesce(jsonb_agg(pg_get_indexdef(i.indexrelid) ORDER BY i.indexrelid), '[]')
        FROM pg_index i WHERE i.indrelid = c.oid AND i.indislive
          AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.conrelid = c.oid)))::text
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = ANY (%(tables)s::regclass[])
ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C";
