//! How PostgreSQL is asked for its tables, those of the current schema.

use super::{Kind, Statements};

// Names are cast to text, since the driver does not read the types `name` and `information_schema.sql_identifier`.
pub(super) const STATEMENTS: Statements = Statements {
    columns: "
        SELECT c.table_name::text AS table_name, c.column_name::text AS column_name,
               c.data_type::text AS declared, c.is_nullable = 'YES' AS nullable
        FROM information_schema.columns c
        WHERE c.table_schema = current_schema() ORDER BY c.table_name, c.ordinal_position",
    indexes: "
        SELECT t.relname::text AS table_name, i.relname::text AS index_name,
               x.indisunique AS is_unique, x.indpred IS NOT NULL AS is_partial, a.attname::text AS column_name
        FROM pg_index x
        JOIN pg_class t ON t.oid = x.indrelid
        JOIN pg_class i ON i.oid = x.indexrelid
        CROSS JOIN LATERAL unnest(x.indkey::int2[]) WITH ORDINALITY AS k(attnum, place)
        JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.attnum
        WHERE t.relnamespace = current_schema()::regnamespace ORDER BY t.relname, i.relname, k.place",
    foreign_keys: "
        SELECT t.relname::text AS table_name, f.conname::text AS key_name, p.relname::text AS parent,
               f.confdeltype = 'c' AS cascades, a.attname::text AS column_name
        FROM pg_constraint f
        JOIN pg_class t ON t.oid = f.conrelid
        JOIN pg_class p ON p.oid = f.confrelid
        CROSS JOIN LATERAL unnest(f.conkey) WITH ORDINALITY AS k(attnum, place)
        JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.attnum
        WHERE f.contype = 'f' AND t.relnamespace = current_schema()::regnamespace
        ORDER BY t.relname, f.conname, k.place",
};

pub(super) fn kind(declared: &str) -> Kind {
    match declared {
        "text" | "character varying" => Kind::Text,
        "bigint" => Kind::Integer,
        "boolean" => Kind::Boolean,
        "timestamp with time zone" => Kind::Instant,
        "jsonb" => Kind::Json,
        "bytea" => Kind::Bytes,
        other => Kind::Other(other.to_owned()),
    }
}
