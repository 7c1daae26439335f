//! Discovery, and the run itself: SCHEMA, rows, STATE.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use singer_plugin::batches::Batches;
use singer_plugin::catalog::Catalog;
use singer_plugin::files::{Files, Found};
use singer_plugin::plain::plain;
use singer_plugin::settings::Config;
use singer_plugin::state::State;
use singer_plugin::{PluginError, Result, Sync};

use crate::bookmark::{Bookmark, Mark};
use crate::settings::Settings;
use crate::since::Since;
use crate::source::Source;
use crate::table::{catalog, tables, Table};

/// A STATE for so many rows or more, for each file that it speaks of: with many files it is long.
const ROWS_FOR_EACH_FILE: usize = 10;

/// The catalog of all streams.
pub fn discover(config: &Config) -> Result<Catalog> {
    Ok(catalog(&tables(&Settings::of(config)?, &Files::of(config), |_| true)?))
}

/// Read what is selected and not read yet.
pub fn sync<W: Write>(sync: Sync<'_, W>) -> Result<()> {
    let settings = Settings::of(&sync.config)?;
    let files = Files::of(&sync.config);
    let chosen: Vec<_> = sync.catalog.streams.iter().filter(|s| s.is_selected()).collect();
    let mut tables = tables(&settings, &files, |name| chosen.iter().any(|s| s.tap_stream_id == name))?;
    for chosen in chosen {
        let Some(table) = tables.iter_mut().find(|table| table.stream == chosen.tap_stream_id) else {
            let what = format!(
                "the catalog selects the stream {:?}, which no file gives",
                chosen.tap_stream_id
            );
            return Err(PluginError::config("catalog.invalid", what).hint("make a new one with --discover"));
        };
        table.choose(&settings, chosen)?;
    }
    let mut run = Run {
        files,
        state: State::of(sync.state)?,
        out: Batches::new(sync.out)?,
        rows: 0,
    };
    match tables.is_empty() {
        true => run.out.state(run.state.value()),
        false => tables.iter().try_for_each(|table| run.stream(table)),
    }
}

struct Run<'a, W: Write> {
    files: Files,
    state: State,
    out: Batches<'a, W>,
    /// Rows since the last STATE.
    rows: usize,
}

impl<W: Write> Run<'_, W> {
    fn stream(&mut self, table: &Table) -> Result<()> {
        let mut bookmark = Bookmark::of(&self.state, &table.stream)?;
        let version = match table.full {
            true => Some(full_load(&mut bookmark)),
            false => None,
        };
        let mut since = table.replication_key.as_ref().filter(|_| !table.full).map(|key| {
            if bookmark.replication_key.as_ref() != Some(key) {
                // Another key, or none: all is new.
                bookmark = Bookmark {
                    replication_key: Some(key.clone()),
                    ..Bookmark::default()
                };
            }
            Since::new(key, bookmark.replication_key_value.clone(), bookmark.reached.clone())
        });
        self.out.schema(&table.message())?;
        let addresses: Vec<_> = table.files.iter().map(|found| found.address.to_string()).collect();
        bookmark.files.retain(|address, _| addresses.contains(address));
        for (found, address) in table.files.iter().zip(&addresses) {
            self.file(table, found, address, &mut bookmark, &mut since)?;
        }
        if let Some(version) = version {
            self.out.activate(&table.stream, version)?;
            (bookmark.version, bookmark.files) = (None, Default::default());
        }
        if since.is_some() {
            let reached = bookmark.reached.take();
            bookmark.replication_key_value = reached.or(bookmark.replication_key_value);
        }
        bookmark.note(&mut self.state, &table.stream);
        self.rows = 0;
        self.out.state(self.state.value())
    }

    fn file(
        &mut self,
        table: &Table,
        found: &Found,
        address: &str,
        bookmark: &mut Bookmark,
        since: &mut Option<Since>,
    ) -> Result<()> {
        let source = Source::open(&self.files, found)?;
        let mut mark = Mark {
            tail: source.tail.clone(),
            groups: 0,
            of: source.groups(),
        };
        match bookmark.files.get(address) {
            Some(old) if old.tail == mark.tail => mark.groups = old.groups,
            Some(_) => {
                eprintln!("warning: {address} is not the file that was read before: it is read again from its start")
            }
            None => {}
        }
        for group in mark.groups..mark.of {
            if since.as_ref().is_none_or(|since| since.may_hold(&source, group)) {
                self.group(table, &source, group, bookmark.version, since)?;
            }
            mark.groups = group + 1;
            bookmark.files.insert(address.into(), mark.clone());
            bookmark.reached = since.as_ref().and_then(|since| since.reached.clone());
            if self.rows >= ROWS_FOR_EACH_FILE * bookmark.files.len() {
                bookmark.note(&mut self.state, &table.stream);
                self.out.state(self.state.value())?;
                self.rows = 0;
            }
        }
        bookmark.files.insert(address.into(), mark);
        Ok(())
    }

    fn group(
        &mut self,
        table: &Table,
        source: &Source,
        group: usize,
        version: Option<i64>,
        since: &mut Option<Since>,
    ) -> Result<()> {
        for batch in source.rows(group, &|column| table.is_selected(column))? {
            let batch = batch.map_err(|e| source.told(&e))?;
            let Some(since) = since.as_mut() else {
                self.rows += batch.num_rows();
                self.out.rows(&table.stream, &batch, version)?;
                continue;
            };
            let kinds = plain(&batch).map_err(|found| {
                let what = format!("stream {:?}, column {:?}: {}", table.stream, found.column, found.reason);
                PluginError::data("data.bad_source", what).hint("mend it in the source, or leave the column out")
            })?;
            for batch in kinds {
                let new = since.rows(&batch)?;
                self.rows += new.num_rows();
                self.out.rows(&table.stream, &new, version)?;
            }
        }
        Ok(())
    }
}

/// Goes on with the full load that is under way, or begins one: its version.
fn full_load(bookmark: &mut Bookmark) -> i64 {
    if bookmark.version.is_none() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        *bookmark = Bookmark {
            version: Some(now.as_millis() as i64),
            ..Bookmark::default()
        };
    }
    bookmark.version.unwrap_or_default()
}
