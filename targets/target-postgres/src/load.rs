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
    /// The stream whose rows a COPY is taking.
    copying: Option<String>,
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
        copying: None,
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

    /// Ends the COPY that is under way: anything else that is asked of the server comes after it.
    fn land(&mut self) -> Result<()> {
        match self.copying.take() {
            Some(name) => {
                let (stream, database, stages) = self.stream(&name)?;
                stream.land(database, stages)
            }
            None => Ok(()),
        }
    }
}

impl Sink for Tables {
    fn declare(&mut self, declared: &Declared) -> Result<()> {
        self.land()?;
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
        if self.copying.as_deref().is_some_and(|name| name != slice.stream) {
            self.land()?;
        }
        let hard_delete = self.settings.hard_delete;
        let (stream, database, stages) = self.stream(slice.stream)?;
        stream.load(database, stages, slice, hard_delete)?;
        self.copying = stream.is_copying().then(|| slice.stream.to_string());
        Ok(())
    }

    fn activate(&mut self, stream: &str, version: i64) -> Result<()> {
        self.land()?;
        let share = self.settings.max_delete_share;
        let (stream, database, _) = self.stream(stream)?;
        stream.activate(database, version, share)
    }

    fn commit(&mut self, state: Option<&[u8]>, last: bool) -> Result<()> {
        self.land()?;
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
