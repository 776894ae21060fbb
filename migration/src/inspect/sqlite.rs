//! How SQLite is asked for its tables.

use super::{Kind, Statements};

pub(super) const STATEMENTS: Statements = Statements {
    columns: r#"
        SELECT t.name AS table_name, c.name AS column_name, lower(c.type) AS declared, c."notnull" = 0 AS nullable
        FROM sqlite_master t JOIN pragma_table_info(t.name) c
        WHERE t.type = 'table' ORDER BY t.name, c.cid"#,
    indexes: r#"
        SELECT t.name AS table_name, i.name AS index_name, i."unique" = 1 AS is_unique, i.partial = 1 AS is_partial,
               c.name AS column_name
        FROM sqlite_master t JOIN pragma_index_list(t.name) i JOIN pragma_index_info(i.name) c
        WHERE t.type = 'table' ORDER BY t.name, i.name, c.seqno"#,
    foreign_keys: r#"
        SELECT t.name AS table_name, 'fk' || k.id AS key_name, k."table" AS parent,
               k.on_delete = 'CASCADE' AS cascades, k."from" AS column_name
        FROM sqlite_master t JOIN pragma_foreign_key_list(t.name) k
        WHERE t.type = 'table' ORDER BY t.name, k.id, k.seq"#,
};

/// Declared types are those that the statement builder writes; `integer` is of 64 bits here.
pub(super) fn kind(declared: &str) -> Kind {
    match declared {
        "text" => Kind::Text,
        "integer" => Kind::Integer,
        "boolean" => Kind::Boolean,
        "timestamp_with_timezone_text" => Kind::Instant,
        "jsonb_text" => Kind::Json,
        "blob" => Kind::Bytes,
        varchar if varchar.starts_with("varchar") => Kind::Text,
        other => Kind::Other(other.to_owned()),
    }
}
