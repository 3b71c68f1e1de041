// SPDX-License-Identifier: MIT OR Apache-2.0
//! The queries. Partitions, and tables in schemas that the account may not use, are read for their triggers only.

pub(super) const RELATIONS: &str = "SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text, \
    NOT c.relispartition AND (EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid) \
        OR c.relkind <> 'p' AND EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhparent = c.oid)), \
    c.relpersistence::text, c.relhasrules AND c.relkind IN ('r', 'p'), pg_catalog.pg_table_is_visible(c.oid), \
    NOT c.relispartition AND pg_catalog.has_schema_privilege(n.oid, 'USAGE'), \
    pg_catalog.has_any_column_privilege(c.oid, 'SELECT'), pg_catalog.row_security_active(c.oid), \
    pg_catalog.has_table_privilege(c.oid, 'INSERT') AND pg_catalog.has_table_privilege(c.oid, 'UPDATE') \
        AND pg_catalog.has_table_privilege(c.oid, 'DELETE') \
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname <> 'information_schema' \
        AND n.nspname NOT LIKE 'pg\\_%' AND c.relpersistence <> 't'";

pub(super) const TYPES: &str = "SELECT t.oid, n.nspname::text, t.typname::text, t.typtype::text, t.typbasetype, \
    CASE WHEN t.typcategory = 'A' AND t.typdelim = ',' THEN t.typelem ELSE 0 END, t.typnotnull, t.typdefault \
    FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace";

pub(super) const LABELS: &str = "SELECT enumtypid, enumlabel::text FROM pg_catalog.pg_enum \
    ORDER BY enumtypid, enumsortorder";

/// The last two columns: the type, where there are arrays of it that are not taken for further dimensions.
pub(super) const COLUMNS: &str = "SELECT a.attrelid, a.attnum, a.attname::text, a.atttypid, a.attnotnull, \
    a.attidentity::text, a.attgenerated::text, pg_catalog.pg_get_expr(d.adbin, d.adrelid), \
    COALESCE(co.collisdeterministic, true), \
    CASE WHEN t.typarray <> 0 AND t.typcategory <> 'A' THEN tn.nspname END::text, t.typname::text \
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
    JOIN pg_catalog.pg_type t ON t.oid = a.atttypid JOIN pg_catalog.pg_namespace tn ON tn.oid = t.typnamespace \
    LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
    LEFT JOIN pg_catalog.pg_collation co ON co.oid = a.attcollation \
    WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f') \
    ORDER BY a.attrelid, a.attnum";

/// The key's columns are compared by the index's own operator, with its own type unless that is a pseudo-type.
pub(super) const UNIQUE: &str = "SELECT i.indrelid, ic.relname::text, i.indisprimary, i.indimmediate, k.number, \
    opn.nspname::text, op.oprname::text, \
    CASE WHEN ty.typtype = 'p' THEN cn.nspname ELSE tn.nspname END::text, \
    CASE WHEN ty.typtype = 'p' THEN ct.typname ELSE ty.typname END::text \
    FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid \
    CROSS JOIN LATERAL unnest(i.indkey::int2[], i.indclass::oid[]) WITH ORDINALITY AS k (number, class, place) \
    LEFT JOIN pg_catalog.pg_opclass oc ON oc.oid = k.class \
    LEFT JOIN pg_catalog.pg_amop am ON am.amopfamily = oc.opcfamily AND am.amopstrategy = 3 \
        AND am.amoplefttype = oc.opcintype AND am.amoprighttype = oc.opcintype \
    LEFT JOIN pg_catalog.pg_operator op ON op.oid = am.amopopr \
    LEFT JOIN pg_catalog.pg_namespace opn ON opn.oid = op.oprnamespace \
    LEFT JOIN pg_catalog.pg_type ty ON ty.oid = oc.opcintype \
    LEFT JOIN pg_catalog.pg_namespace tn ON tn.oid = ty.typnamespace \
    LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number \
    LEFT JOIN pg_catalog.pg_type ct ON ct.oid = a.atttypid \
    LEFT JOIN pg_catalog.pg_namespace cn ON cn.oid = ct.typnamespace \
    WHERE i.indisunique AND k.place <= i.indnkeyatts ORDER BY i.indrelid, i.indexrelid, k.place";

pub(super) const CONSTRAINTS: &str = "SELECT conrelid, conname::text, contype::text, confrelid, confdeltype::text, \
    confupdtype::text FROM pg_catalog.pg_constraint WHERE conrelid <> 0 ORDER BY conrelid, conname";

/// What may change anything when it is called.
pub(super) const ROUTINES: &str = "SELECT DISTINCT p.proname::text FROM pg_catalog.pg_proc p \
    JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace JOIN pg_catalog.pg_language l ON l.oid = p.prolang \
    WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND p.provolatile = 'v' \
        AND l.lanname NOT IN ('c', 'internal') AND p.prorettype <> 'pg_catalog.trigger'::pg_catalog.regtype";

/// The last column: whether it runs behind the statement, so that it could change the row that was answered.
pub(super) const TRIGGERS: &str = "SELECT t.tgrelid, t.tgname::text, n.nspname::text, l.lanname::text, p.prosrc, \
    t.tgtype & 66 = 0 \
    FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid \
    JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace JOIN pg_catalog.pg_language l ON l.oid = p.prolang \
    WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' ORDER BY t.tgrelid, t.tgname";
