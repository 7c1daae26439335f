//! What there is to read, from the system catalogs in one question.

use std::collections::BTreeMap;

use postgres::types::Type;
use postgres::{Client, Row};
use singer_plugin::catalog::Catalog;
use singer_plugin::settings::Config;
use singer_plugin::Result;

use crate::column::Column;
use crate::session::Session;
use crate::settings::{Nonfinite, Settings};
use crate::shape::{Described, Shape};
use crate::table::Table;

/// A row for each column that this user may read. Domains are followed down to the type below them; types that are neither
/// PostgreSQL's own nor citext have no name here, and are known by what kind they are.
const COLUMNS: &str = "
with recursive below as (
    select oid as named, oid, typtype, typbasetype, -1 as modifier, typnotnull from pg_type
    union all
    select below.named, base.oid, base.typtype, base.typbasetype,
           (select case when typtypmod = -1 then below.modifier else typtypmod end from pg_type where oid = below.oid),
           below.typnotnull or base.typnotnull
      from below join pg_type as base on base.oid = below.typbasetype
     where below.typtype = 'd'
), keys as (
    select distinct on (i.indrelid) i.indrelid,
           array(select a.attname::text
                   from unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) with ordinality as part(number, place)
                   join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = part.number
                  order by part.place) as names
      from pg_index as i
     where i.indisunique and i.indisvalid and i.indimmediate and i.indpred is null and i.indexprs is null
       and (i.indisprimary or not exists (
               select from unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) as part(number)
                 join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = part.number
                where not a.attnotnull))
     order by i.indrelid, i.indisprimary desc, i.indnkeyatts, i.indexrelid
)
select c.oid, n.nspname::text, c.relname::text, c.relkind::text, c.reltuples::int8,
       c.relkind in ('r', 'm') and not c.relhassubclass and coalesce(am.amname = 'heap', false),
       coalesce(keys.names, '{}'),
       a.attname::text, format_type(a.atttypid, a.atttypmod), c.relkind in ('r', 'p') and (a.attnotnull or below.typnotnull),
       case when t.typnamespace = 'pg_catalog'::regnamespace or t.typname = 'citext' then t.typname::text else '' end,
       t.typtype::text, case when a.atttypmod = -1 then below.modifier else a.atttypmod end,
       t.typcategory = 'A' and t.typlen = -1 and t.typname not like '%vector',
       case when e.typnamespace = 'pg_catalog'::regnamespace or e.typname = 'citext' then e.typname::text else '' end,
       coalesce(e.typtype::text, '')
  from pg_class as c
  join pg_namespace as n on n.oid = c.relnamespace
  join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  join below on below.named = a.atttypid and below.typtype <> 'd'
  join pg_type as t on t.oid = below.oid
  left join pg_type as e on e.oid = t.typelem
  left join pg_am as am on am.oid = c.relam
  left join keys on keys.indrelid = c.oid
 where c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition and c.relpersistence <> 't'
   and n.nspname not in ('pg_catalog', 'information_schema')
   and (cardinality($1) = 0 or n.nspname::text = any($1))
   and has_schema_privilege(n.oid, 'usage') and has_column_privilege(c.oid, a.attnum, 'select')
 order by n.nspname, c.relname, a.attnum";

/// The catalog of all tables.
pub fn discover(config: &Config) -> Result<Catalog> {
    let settings = Settings::of(config)?;
    let session = Session::of(config)?;
    let tables = tables(&session, &mut session.connect()?, &settings)?;
    Ok(Catalog {
        streams: tables.iter().map(Table::offer).collect(),
    })
}

/// All tables that this user may read.
pub fn tables(session: &Session, client: &mut Client, settings: &Settings) -> Result<Vec<Table>> {
    let schemas = settings.schemas();
    let rows = client
        .query_typed(COLUMNS, &[(&schemas, Type::TEXT_ARRAY)])
        .map_err(|e| session.failed("cannot look what tables there are", &e))?;
    let mut tables: Vec<Table> = Vec::new();
    for row in &rows {
        let oid: u32 = row.get(0);
        if tables.last().is_none_or(|table| table.oid != oid) {
            tables.push(table(row));
        }
        if let Some(table) = tables.last_mut() {
            table.columns.push(column(row, settings.nonfinite));
        }
    }
    for table in &mut tables {
        // A key of which a part is hidden tells no rows apart.
        if !table.key.iter().all(|name| table.column(name).is_some()) {
            table.key.clear();
        }
    }
    name(&mut tables);
    Ok(tables)
}

fn letter(row: &Row, place: usize) -> char {
    row.get::<_, &str>(place).chars().next().unwrap_or(' ')
}

fn table(row: &Row) -> Table {
    Table {
        oid: row.get(0),
        schema: row.get(1),
        name: row.get(2),
        kind: letter(row, 3),
        rows: row.get(4),
        heap: row.get(5),
        key: row.get(6),
        ..Table::default()
    }
}

fn column(row: &Row, nonfinite: Nonfinite) -> Column {
    let described = Described {
        name: row.get(10),
        kind: letter(row, 11),
        modifier: row.get(12),
        array: row.get(13),
        element: row.get(14),
        element_kind: letter(row, 15),
    };
    let shape = Shape::of(&described, nonfinite);
    let required: bool = row.get(9);
    Column {
        name: row.get(7),
        sql_type: row.get(8),
        shape,
        nullable: !required || (nonfinite == Nonfinite::Null && shape.has_others()),
    }
}

/// `SCHEMA-TABLE`, as MeltanoLabs' tap has it; where two tables would have the same name, with quotes around the schemas.
fn name(tables: &mut [Table]) {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for table in tables.iter_mut() {
        table.stream = format!("{}-{}", table.schema, table.name);
        *seen.entry(table.stream.clone()).or_default() += 1;
    }
    for table in tables.iter_mut().filter(|table| seen[&table.stream] > 1) {
        table.stream = format!("{:?}-{}", table.schema, table.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_have_names_of_their_own() {
        let mut tables: Vec<_> = [("public", "orders"), ("a-b", "c"), ("a", "b-c")]
            .map(|(schema, name)| Table {
                schema: schema.into(),
                name: name.into(),
                ..Table::default()
            })
            .into();
        name(&mut tables);
        let streams: Vec<_> = tables.iter().map(|table| table.stream.as_str()).collect();
        assert_eq!(streams, ["public-orders", "\"a-b\"-c", "\"a\"-b-c"]);
    }
}
