//! A run: messages into tables, a bookmark with them, one transaction at a time (I1, I2).

use std::collections::BTreeMap;

use singer_plugin::postgres::Access;
use singer_plugin::reader::End;
use singer_plugin::settings::Config;
use singer_plugin::sink::{self, Declared, Pace, Sink, Slice};
use singer_plugin::{Load, PluginError, Result, Stored};

use crate::bookmark;
use crate::database::Database;
use crate::merge::Stages;
use crate::settings::{Mode, Settings};
use crate::stream::Stream;

/// Where a run's rows go.
struct Tables {
    database: Database,
    settings: Settings,
    job: String,
    streams: BTreeMap<String, Stream>,
    stages: Stages,
}

/// Loads all of the input.
pub fn load(load: Load) -> Result<End> {
    let settings = Settings::of(&load.config)?;
    let mut database = Database::connect(Access::of(&load.config, "target-postgres")?, &settings, &load.job)?;
    bookmark::prepare(&mut database)?;
    let pace = Pace {
        at_end: settings.mode == Some(Mode::Overwrite),
        ..Pace::default()
    };
    let mut tables = Tables {
        database,
        settings,
        job: load.job.clone(),
        streams: BTreeMap::new(),
        stages: Stages::default(),
    };
    sink::run(load, pace, &mut tables)
}

/// What is stored for a job. While a run of the job is under way this waits: its last commit may be on its way.
pub fn stored(config: &Config, job: &str) -> Result<Stored> {
    let settings = Settings::of(config)?;
    if settings.mode == Some(Mode::Overwrite) {
        return Ok(None); // an overwritten table holds one whole run: there is no place in the middle to go on from
    }
    let mut database = Database::connect(Access::of(config, "target-postgres")?, &settings, job)?;
    bookmark::stored(&mut database, job)
}

impl Tables {
    fn stream(&mut self, name: &str) -> Result<(&mut Stream, &mut Database, &mut Stages)> {
        match self.streams.get_mut(name) {
            Some(stream) => Ok((stream, &mut self.database, &mut self.stages)),
            None => Err(PluginError::data(
                "data.record_before_schema",
                format!("stream {name:?}: its SCHEMA is missing"),
            )),
        }
    }
}

impl Sink for Tables {
    fn declare(&mut self, declared: &Declared) -> Result<()> {
        match self.streams.get_mut(&declared.stream) {
            Some(stream) => stream.declare(declared, &self.settings),
            None => {
                let stream = Stream::new(declared, &self.settings);
                self.streams.insert(declared.stream.clone(), stream);
            }
        }
        Ok(())
    }

    fn load(&mut self, slice: &Slice<'_>) -> Result<()> {
        let hard_delete = self.settings.hard_delete;
        let (stream, database, stages) = self.stream(slice.stream)?;
        stream.load(database, stages, slice, hard_delete)
    }

    fn activate(&mut self, stream: &str, version: i64) -> Result<()> {
        let share = self.settings.max_delete_share;
        let (stream, database, _) = self.stream(stream)?;
        stream.activate(database, version, share)
    }

    fn commit(&mut self, state: Option<&[u8]>, last: bool) -> Result<()> {
        for stream in self.streams.values_mut() {
            stream.finish(&mut self.database, last)?;
        }
        if let Some(state) = state {
            bookmark::store(&mut self.database, &self.job, state)?;
        }
        self.stages.clear();
        self.database.commit()
    }
}
