-- What a mover asks of a database that it writes.

-- name: objects
SELECT c.relkind::text AS kind, c.relname::text AS name, '' AS arguments
FROM pg_class c
WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %(schema)s)
  AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                  AND (d.deptype = 'e' OR c.relkind = 'S' AND d.deptype IN ('a', 'i')
                       AND d.refclassid = 'pg_class'::regclass))
UNION ALL
SELECT CASE t.typtype WHEN 'd' THEN 'domain' ELSE 'type' END, t.typname::text, ''
FROM pg_type t LEFT JOIN pg_class r ON r.oid = t.typrelid
WHERE t.typnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %(schema)s)
  AND (t.typtype IN ('e', 'd', 'r', 'm') OR t.typtype = 'c' AND r.relkind = 'c')
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
UNION ALL
SELECT 'routine', p.proname::text, pg_get_function_identity_arguments(p.oid)
FROM pg_proc p
WHERE p.pronamespace = (SELECT oid FROM pg_namespace WHERE nspname = %(schema)s)
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
                  AND d.deptype = 'e')
UNION ALL
SELECT 'collation', o.collname::text, ''
FROM pg_collation o
WHERE o.collnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %(schema)s)
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_collation'::regclass AND d.objid = o.oid
                  AND d.deptype = 'e')
ORDER BY 1, 2, 3;

-- name: relations
SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relkind <> 't';

-- name: belongings
-- What goes with tables: their indexes, and the sequences that they own.
SELECT x.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.classid = 'pg_class'::regclass
JOIN pg_class x ON x.oid = d.objid AND x.relkind = 'S'
WHERE n.nspname = %(schema)s AND c.relname = ANY (%(tables)s)
UNION
SELECT x.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_index i ON i.indrelid = c.oid JOIN pg_class x ON x.oid = i.indexrelid
WHERE n.nspname = %(schema)s AND c.relname = ANY (%(tables)s);

-- name: references_from_outside
SELECT format('%%I.%%I', rn.nspname, r.relname), k.conname::text, c.relname::text
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.confrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class r ON r.oid = k.conrelid JOIN pg_namespace rn ON rn.oid = r.relnamespace
WHERE k.contype = 'f' AND n.nspname = %(schema)s AND c.relname = ANY (%(tables)s)
  AND NOT (rn.nspname = %(schema)s AND r.relname = ANY (%(tables)s))
ORDER BY 1, 2;

-- name: keys
-- The constraints and indexes of tables, as they can be made again: keys, then indexes, then foreign keys.
SELECT c.relname::text, k.conname::text, k.contype::text, pg_get_constraintdef(k.oid)
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = ANY (%(tables)s) AND k.contype IN ('p', 'u', 'f')
UNION ALL
SELECT c.relname::text, x.relname::text, 'i', pg_get_indexdef(i.indexrelid)
FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = ANY (%(tables)s)
  AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid)
ORDER BY 3, 1, 2;

-- name: made
-- Constraints and indexes that are there.
SELECT c.relname::text, k.conname::text
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s
UNION ALL
SELECT c.relname::text, x.relname::text
FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s
UNION ALL
SELECT c.relname::text, c.relname::text
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %(schema)s AND c.relkind = 'v';

-- name: extension_members
-- Where the types, functions and operator classes of extensions stand.
SELECT e.extname::text, n.nspname::text, coalesce(t.typname, p.proname, o.opcname)::text
FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass
LEFT JOIN pg_type t ON d.classid = 'pg_type'::regclass AND t.oid = d.objid
LEFT JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
LEFT JOIN pg_opclass o ON d.classid = 'pg_opclass'::regclass AND o.oid = d.objid
JOIN pg_namespace n ON n.oid = coalesce(t.typnamespace, p.pronamespace, o.opcnamespace)
WHERE d.deptype = 'e' AND e.extname <> 'plpgsql';

-- name: columns
SELECT attname::text FROM pg_attribute WHERE attrelid = to_regclass(%(table)s) AND attnum > 0 AND NOT attisdropped;

-- name: references_to
-- The foreign keys to a table: whose, their columns, and which of the table's they point to.
SELECT format('%%I.%%I', n.nspname, c.relname),
    array(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS u (number, place)
          JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.number ORDER BY u.place),
    array(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY AS u (number, place)
          JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.number ORDER BY u.place)
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype = 'f' AND k.confrelid = to_regclass(%(table)s);
