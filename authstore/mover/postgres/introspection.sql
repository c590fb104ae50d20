-- Questions to a Postgres catalogue (14 and newer). %(schemas)s: text[]; empty means every schema that is not Postgres's own.
-- to_jsonb(row) ->> 'column' reads columns that older servers lack as null.

-- name: system
SELECT oid::text, datname::text, current_setting('server_version_num')::int8,
       has_function_privilege('pg_control_system()', 'execute'), pg_encoding_to_char(encoding)::text
FROM pg_database WHERE datname = current_database();

-- name: cluster
SELECT system_identifier::text FROM pg_control_system();

-- name: tables
SELECT c.oid::int8, n.nspname::text, c.relname::text, c.relkind = 'p',
       greatest(coalesce(leaf.rows, c.reltuples), 0)::int8,
       coalesce(leaf.bytes, pg_table_size(c.oid), 0)::int8,
       ARRAY(SELECT format('%%I.%%I', pn.nspname, p.relname)
             FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace pn ON pn.oid = p.relnamespace
             WHERE i.inhrelid = c.oid ORDER BY i.inhseqno),
       c.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid),
       has_schema_privilege(n.oid, 'usage') AND has_table_privilege(c.oid, 'select') AND NOT row_security_active(c.oid)
           AND NOT (c.relpersistence = 'u' AND pg_is_in_recovery())
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN LATERAL (
    SELECT sum(greatest(l.reltuples, 0)) AS rows, sum(pg_table_size(l.oid)) AS bytes
    FROM pg_partition_tree(c.oid) t JOIN pg_class l ON l.oid = t.relid WHERE t.isleaf
) leaf ON c.relkind = 'p'
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND (cardinality(%(schemas)s::text[]) = 0 OR n.nspname = ANY (%(schemas)s::text[]))
  AND NOT EXISTS (SELECT FROM pg_depend d
                  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C";

-- name: columns
WITH RECURSIVE base (oid, basis, modifier, required, level) AS (
    SELECT t.oid, t.oid, NULL::int4, false, 0 FROM pg_type t
    WHERE t.oid IN (SELECT atttypid FROM pg_attribute WHERE attrelid = ANY (%(tables)s::oid[]))
    UNION ALL
    SELECT b.oid, t.typbasetype, t.typtypmod, b.required OR t.typnotnull, b.level + 1
    FROM base b JOIN pg_type t ON t.oid = b.basis WHERE t.typtype = 'd'
), bottom AS (
    SELECT DISTINCT ON (oid) oid, basis, modifier, required, level FROM base ORDER BY oid, level DESC
)
SELECT a.attrelid::int8, a.attname::text, format_type(a.atttypid, a.atttypmod), t.typname::text, tn.nspname::text,
       t.typtype::text, t.typcategory::text,
       coalesce(bottom.modifier, a.atttypmod)::int8,
       NOT (bottom.required OR a.attnotnull AND NOT EXISTS (
           SELECT FROM pg_constraint c
           WHERE c.conrelid = a.attrelid AND c.contype = 'n' AND a.attnum = ANY (c.conkey) AND NOT c.convalidated)),
       CASE WHEN a.attgenerated = '' THEN coalesce(
           pg_get_expr(d.adbin, d.adrelid),
           (SELECT pg_get_expr(o.typdefaultbin, 0) FROM base b JOIN pg_type o ON o.oid = b.basis
            WHERE b.oid = a.atttypid AND o.typdefaultbin IS NOT NULL ORDER BY b.level LIMIT 1)) END,
       a.attidentity::text,
       CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) END,
       a.attgenerated::text = 'v',
       CASE WHEN a.attcollation <> 0 AND a.attcollation <> t.typcollation THEN
           (SELECT format('%%I.%%I', cn.nspname, co.collname) FROM pg_collation co
            JOIN pg_namespace cn ON cn.oid = co.collnamespace WHERE co.oid = a.attcollation) END,
       feed.name, feed.readable,
       ARRAY(SELECT e.enumlabel::text FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder),
       a.attnum::int8,
       (SELECT el.typname::text FROM pg_type el WHERE el.oid = t.typelem AND t.typcategory = 'A'),
       coalesce((SELECT el.typtype::text FROM pg_type el WHERE el.oid = t.typelem AND t.typcategory = 'A'), ''),
       ARRAY(SELECT pg_get_expr(k.conbin, 0) FROM base b JOIN pg_constraint k ON k.contypid = b.basis
             WHERE b.oid = a.atttypid AND k.contype = 'c' AND k.convalidated ORDER BY b.level, k.conname COLLATE "C")
FROM pg_attribute a
JOIN pg_class r ON r.oid = a.attrelid
JOIN pg_namespace n ON n.oid = r.relnamespace
JOIN bottom ON bottom.oid = a.atttypid
JOIN pg_type t ON t.oid = bottom.basis
JOIN pg_namespace tn ON tn.oid = t.typnamespace
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
LEFT JOIN LATERAL (
    SELECT format('%%I.%%I', sn.nspname, s.relname) AS name,
           has_schema_privilege(sn.oid, 'usage') AND has_sequence_privilege(s.oid, 'select') AS readable
    FROM (SELECT p.refobjid AS oid, 1 AS rank FROM pg_depend p
          WHERE p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid AND p.refclassid = 'pg_class'::regclass
          UNION ALL
          SELECT p.objid, 2 FROM pg_depend p
          WHERE p.refclassid = 'pg_class'::regclass AND p.refobjid = a.attrelid AND p.refobjsubid = a.attnum
            AND p.classid = 'pg_class'::regclass AND p.deptype IN ('a', 'i')) f
    JOIN pg_class s ON s.oid = f.oid AND s.relkind = 'S'
    JOIN pg_namespace sn ON sn.oid = s.relnamespace
    ORDER BY f.rank, s.oid LIMIT 1
) feed ON a.attgenerated = ''
WHERE a.attrelid = ANY (%(tables)s::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum;

-- name: indexes
SELECT i.indrelid::int8, c.relname::text, pg_get_indexdef(i.indexrelid), i.indisunique, i.indisprimary, i.indimmediate,
       coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::bool, false),
       ARRAY(SELECT (SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum = i.indkey[k]
                     AND i.indkey[k] <> 0)
             FROM generate_series(0, i.indnkeyatts - 1) k ORDER BY k),
       ARRAY(SELECT i.indoption[k] & 1 = 1 FROM generate_series(0, i.indnkeyatts - 1) k ORDER BY k),
       ARRAY(SELECT pg_get_indexdef(i.indexrelid, k, false) FROM generate_series(1, i.indnkeyatts) k ORDER BY k),
       pg_get_expr(i.indpred, i.indrelid), am.amname::text
FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_am am ON am.oid = c.relam
WHERE i.indrelid = ANY (%(tables)s::oid[]) AND i.indislive AND (i.indisvalid OR NOT i.indisunique)
  AND NOT EXISTS (SELECT FROM pg_constraint x WHERE x.conindid = i.indexrelid AND x.conrelid = i.indrelid AND x.contype = 'x')
ORDER BY i.indrelid, i.indisprimary DESC, c.relname COLLATE "C";

-- name: references
SELECT k.conrelid::int8, k.conname::text,
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u (num, ord)
             JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num ORDER BY u.ord),
       n.nspname::text, c.relname::text,
       ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u (num, ord)
             JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.num ORDER BY u.ord),
       k.confdeltype::text, k.confupdtype::text, k.condeferrable, k.condeferred,
       k.convalidated AND coalesce((to_jsonb(k) ->> 'conenforced')::bool, true), k.confmatchtype::text,
       coalesce((to_jsonb(k) ->> 'conperiod')::bool, false), to_jsonb(k) ->> 'confdelsetcols' IS NOT NULL
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.confrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0 AND k.conrelid = ANY (%(tables)s::oid[])
ORDER BY k.conrelid, k.conname COLLATE "C";

-- name: checks
SELECT k.conrelid::int8, k.conname::text, pg_get_expr(k.conbin, k.conrelid),
       k.convalidated AND coalesce((to_jsonb(k) ->> 'conenforced')::bool, true)
FROM pg_constraint k
WHERE k.contype = 'c' AND k.conrelid = ANY (%(tables)s::oid[])
ORDER BY k.conrelid, k.conname COLLATE "C";

-- name: views
SELECT n.nspname::text, c.relname::text, pg_get_viewdef(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'v' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND (cardinality(%(schemas)s::text[]) = 0 OR n.nspname = ANY (%(schemas)s::text[]))
  AND NOT EXISTS (SELECT FROM pg_depend d
                  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C";

-- name: left_behind
WITH space AS (
    SELECT oid, nspname FROM pg_namespace
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' AND nspname <> %(guard)s
      AND (cardinality(%(schemas)s::text[]) = 0 OR nspname = ANY (%(schemas)s::text[]))
), owned AS (
    SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
), relation AS (
    SELECT c.oid, c.relkind, c.relrowsecurity, c.relacl, c.relname, format('%%I.%%I', n.nspname, c.relname) AS name, c.relispartition
    FROM pg_class c JOIN space n ON n.oid = c.relnamespace
    WHERE c.relpersistence <> 't' AND ('pg_class'::regclass, c.oid) NOT IN (SELECT classid, objid FROM owned)
), word AS (
    SELECT 1 AS rank, 'foreign table ' || name AS text FROM relation WHERE relkind = 'f' AND NOT relispartition
    UNION ALL
    SELECT 2, 'materialized view ' || name FROM relation WHERE relkind = 'm'
    UNION ALL
    SELECT 3, 'sequence ' || name FROM relation
    WHERE relkind = 'S' AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = relation.oid
                                        AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i'))
    UNION ALL
    SELECT 4, format('trigger %%I on %%s', t.tgname, r.name)
    FROM pg_trigger t JOIN relation r ON r.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid
    WHERE NOT t.tgisinternal AND NOT r.relispartition
      AND p.pronamespace NOT IN (SELECT oid FROM pg_namespace WHERE nspname = %(guard)s)
    UNION ALL
    SELECT 5, format('rule %%I on %%s', w.rulename, r.name)
    FROM pg_rewrite w JOIN relation r ON r.oid = w.ev_class WHERE w.rulename <> '_RETURN'
    UNION ALL
    SELECT 6, format('policy %%I on %%s', p.polname, r.name) FROM pg_policy p JOIN relation r ON r.oid = p.polrelid
    UNION ALL
    SELECT 7, format('exclusion constraint %%I on %%s', k.conname, r.name)
    FROM pg_constraint k JOIN relation r ON r.oid = k.conrelid WHERE k.contype = 'x' AND k.conparentid = 0
    UNION ALL
    SELECT 8, format('%%s %%s', CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END,
                     p.oid::regprocedure)
    FROM pg_proc p JOIN space n ON n.oid = p.pronamespace
    WHERE ('pg_proc'::regclass, p.oid) NOT IN (SELECT classid, objid FROM owned)
    UNION ALL
    SELECT 9, format('grants on %%s', name) FROM relation
    WHERE relkind IN ('r', 'p', 'v') AND NOT relispartition AND relacl IS NOT NULL
      AND EXISTS (SELECT FROM aclexplode(relacl) x JOIN pg_class c ON c.oid = relation.oid WHERE x.grantee <> c.relowner)
    UNION ALL
    SELECT 10, format('comment on %%s', r.name || coalesce('.' || quote_ident(a.attname), ''))
    FROM pg_description d JOIN relation r ON d.classoid = 'pg_class'::regclass AND d.objoid = r.oid
    LEFT JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum = d.objsubid AND d.objsubid > 0
    WHERE r.relkind IN ('r', 'p', 'v', 'm') AND NOT r.relispartition
    UNION ALL
    SELECT 11, format('large objects (%%s)', count(*)) FROM pg_largeobject_metadata HAVING count(*) > 0
)
SELECT text FROM word ORDER BY rank, text COLLATE "C";

-- name: other_schemas
SELECT n.nspname::text, c.relname::text,
       c.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid),
       has_schema_privilege(n.oid, 'usage') AND has_table_privilege(c.oid, 'select') AND NOT row_security_active(c.oid)
           AND NOT (c.relpersistence = 'u' AND pg_is_in_recovery())
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND cardinality(%(schemas)s::text[]) > 0 AND n.nspname <> ALL (%(schemas)s::text[])
  AND NOT EXISTS (SELECT FROM pg_depend d
                  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C";
