//! Connections to the database, alike in what they are set to; a signal ends what they do.

use std::sync::{Arc, Mutex, PoisonError};

use postgres::{CancelToken, Client};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use singer_plugin::postgres::Access;
use singer_plugin::settings::Config;
use singer_plugin::{PluginError, Result};

use crate::settings::NAME;

/// No limit of the server's may end a long read, and values have one text whatever the server is set to.
const SETUP: &str = "\
    set statement_timeout = 0; set idle_in_transaction_session_timeout = 0; set extra_float_digits = 3; \
    set timezone = 'UTC'; set datestyle = 'ISO, YMD'; set intervalstyle = 'iso_8601'; set bytea_output = 'hex'; \
    set xmloption = 'content'; set default_transaction_read_only = on";

/// Where connections come from.
#[derive(Clone, Debug)]
pub struct Session {
    access: Access,
    open: Arc<Mutex<Vec<Token>>>,
}

#[derive(Clone)]
struct Token(CancelToken);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

impl Session {
    /// From the settings.
    pub fn of(config: &Config) -> Result<Session> {
        Ok(Session {
            access: Access::of(config, NAME)?,
            open: Arc::default(),
        })
    }

    /// From now on SIGTERM and SIGINT cancel what runs on the server before they end this process.
    pub fn heed_signals(&self) -> Result<()> {
        let watched = self.clone();
        let mut signals = Signals::new([SIGTERM, SIGINT])
            .map_err(|e| PluginError::environment("env.kernel", format!("cannot catch signals: {e}")))?;
        std::thread::spawn(move || {
            if let Some(signal) = signals.forever().next() {
                watched.end(signal);
            }
        });
        Ok(())
    }

    /// Ends this process by `signal`, and what its connections do: a server that sorts would not notice for long.
    fn end(&self, signal: i32) -> ! {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let access = self.access.clone();
        let (done, wait) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for token in &open {
                access.cancel(&token.0);
            }
            let _ = done.send(());
        });
        let _ = wait.recv_timeout(std::time::Duration::from_secs(1));
        let _ = signal_hook::low_level::emulate_default_handler(signal);
        std::process::exit(128 + signal)
    }

    /// A new connection.
    pub fn connect(&self) -> Result<Client> {
        let mut client = self.access.connect()?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.push(Token(client.cancel_token()));
        drop(open);
        client
            .batch_execute(SETUP)
            .map_err(|e| self.failed("cannot set up the session", &e))?;
        Ok(client)
    }

    /// What the server said to what we were `doing`.
    pub fn failed(&self, doing: &str, error: &postgres::Error) -> PluginError {
        self.access.failed(doing, error)
    }
}
