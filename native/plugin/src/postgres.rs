//! PostgreSQL for taps and targets: the settings of a connection, the connection, and errors that say what to change.
//!
//! ```no_run
//! # fn main() -> singer_plugin::Result<()> {
//! # let config = singer_plugin::settings::Config::default();
//! let access = singer_plugin::postgres::Access::of(&config, "tap-postgres")?;
//! let mut client = access.connect()?;
//! let rows = client.query("select 1", &[]).map_err(|e| access.failed("cannot count", &e))?;
//! # Ok(())
//! # }
//! ```
//!
//! Guards I13: neither `password` nor `url` is in any message, nor a server's words about a value (DETAIL, CONTEXT).

mod tls;

use std::error::Error as _;
use std::path::PathBuf;
use std::time::Duration;

use postgres::config::SslMode;
use postgres::error::{DbError, SqlState};
use postgres::{CancelToken, Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::{PluginError, Result};
use crate::settings::{self, Kind, Setting};
use tls::Trust;

/// Hosts that a plugin with these settings must reach, for its [`crate::Needs`].
pub const NETWORK: &[&str] = &["{config:host}:{config:port}", "{config:url}"];
/// Files that it must read, for its [`crate::Needs`].
pub const READ: &[&str] = &["{config:ssl_root_cert}"];

const SSL_MODES: &[&str] = &["disable", "prefer", "require", "verify-ca", "verify-full"];
/// A server that does not answer is given up after this.
const PATIENCE: Duration = Duration::from_secs(30);
/// A connection on which nothing comes is asked after this, and given up when three questions get no answer.
const IDLE: Duration = Duration::from_secs(30);

/// The settings of a connection.
pub fn settings() -> Vec<Setting> {
    vec![
        Setting::new(
            "host",
            Kind::Text,
            "The server's name or address, or the folder of its Unix socket.",
        )
        .default("localhost"),
        Setting::new("port", Kind::Count, "The server's port.").default(5432),
        Setting::new("user", Kind::Text, "Whom to connect as."),
        Setting::new("password", Kind::Text, "The user's password.").secret(),
        Setting::new("dbname", Kind::Text, "The database; by default it has the user's name."),
        Setting::new(
            "sslmode",
            Kind::Choice(SSL_MODES),
            "Encryption, as in libpq; from verify-ca on the server's certificate is checked.",
        )
        .default("prefer"),
        Setting::new(
            "ssl_root_cert",
            Kind::Text,
            "A PEM file of the certificates to trust; by default those of the system.",
        ),
        Setting::new(
            "application_name",
            Kind::Text,
            "The name shown in pg_stat_activity; by default the plugin's.",
        ),
        Setting::new(
            "options",
            Kind::Text,
            "Options for the server's session, as in `-c work_mem=64MB`.",
        ),
        Setting::new(
            "url",
            Kind::Text,
            "postgresql://user:password@host:port/dbname in place of the single settings.",
        )
        .secret(),
    ]
}

/// How to reach a database. Any number of connections can be made from it, from any thread.
#[derive(Clone)]
pub struct Access {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    place: String,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl Access {
    /// From settings that [`settings()`] declared.
    ///
    /// # Errors
    /// `url` or the certificates cannot be used.
    pub fn of(set: &settings::Config, plugin: &str) -> Result<Access> {
        let (mut config, in_url) = match set.text("url") {
            "" => (by_settings(set), None),
            url => by_url(url)?,
        };
        let mode = in_url.as_deref().unwrap_or(set.text("sslmode"));
        let given = given_text(set, "ssl_root_cert");
        let trust = match mode {
            "verify-full" => Trust::Named,
            "verify-ca" => Trust::Chain,
            // As libpq does it: certificates that are given are there to be checked.
            "require" if given.is_some() => Trust::Chain,
            _ => Trust::Anyone,
        };
        config.ssl_mode(match mode {
            "disable" => SslMode::Disable,
            "prefer" | "allow" | "" => SslMode::Prefer,
            _ => SslMode::Require,
        });
        let tls = match mode {
            "disable" => None,
            _ => Some(tls::connector(trust, given.map(PathBuf::from).as_deref())?),
        };
        if let Some(name) = given_text(set, "application_name") {
            config.application_name(name);
        }
        if let Some(options) = given_text(set, "options") {
            config.options(options);
        }
        if config.get_application_name().is_none() {
            config.application_name(plugin);
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(PATIENCE);
        }
        config.keepalives(true).keepalives_idle(IDLE);
        config
            .keepalives_interval(Duration::from_secs(10))
            .keepalives_retries(3);
        let place = place(&config);
        Ok(Access { config, tls, place })
    }

    /// Host, port and database, as messages name them.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// A new connection.
    ///
    /// # Errors
    /// The server cannot be reached, or does not let us in.
    pub fn connect(&self) -> Result<Client> {
        let connected = match &self.tls {
            Some(tls) => self.config.connect(tls.clone()),
            None => self.config.connect(NoTls),
        };
        connected.map_err(|e| self.failed("cannot connect", &e))
    }

    /// Ends the statement that runs on another connection, if one does. What fails here is of no interest: that
    /// connection is given up anyway.
    pub fn cancel(&self, token: &CancelToken) {
        drop(match &self.tls {
            Some(tls) => token.cancel_query(tls.clone()),
            None => token.cancel_query(NoTls),
        });
    }

    /// What the server, or the way to it, said to what we were `doing`.
    pub fn failed(&self, doing: &str, error: &postgres::Error) -> PluginError {
        let text = error.to_string();
        if let Some(said) = error.as_db_error() {
            return self.refused(doing, said);
        }
        let why = why(error);
        let message = format!("{doing} ({}): {why}", self.place);
        if text.starts_with("error performing TLS") {
            return PluginError::config("config.invalid", message).hint("check `sslmode` and `ssl_root_cert`");
        }
        if text.starts_with("invalid configuration") || text.starts_with("authentication error") {
            return PluginError::config("config.invalid", message).hint("check `user` and `password`");
        }
        if text.starts_with("error serializing") || text.starts_with("error deserializing") {
            return PluginError::data("data.rejected", message);
        }
        unreachable_now(message)
    }

    fn refused(&self, doing: &str, said: &DbError) -> PluginError {
        let code = said.code();
        let message = format!("{doing} ({}): {} [{}]", self.place, said.message(), code.code());
        let config = |hint: &str| PluginError::config("config.invalid", message.clone()).hint(hint);
        if [
            SqlState::INVALID_PASSWORD,
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
        ]
        .contains(code)
        {
            return config("check `user`, `password` and `sslmode`, and the server's pg_hba.conf");
        }
        if *code == SqlState::INVALID_CATALOG_NAME {
            return config("check `dbname`");
        }
        if *code == SqlState::INSUFFICIENT_PRIVILEGE {
            return config("grant the right to `user`, or choose another `user`");
        }
        let disk = [SqlState::DISK_FULL, SqlState::OUT_OF_MEMORY];
        if disk.contains(code) {
            return PluginError::environment("env.disk_full", message).hint("the server lacks room, not this machine");
        }
        match &code.code()[..2] {
            // Connections, resources, an operator's doing, the system; a transaction that lost against another.
            "08" | "53" | "57" | "58" | "40" | "55" => unreachable_now(message),
            "22" | "23" => PluginError::data("data.rejected", message),
            _ => PluginError {
                exit: 1,
                ..PluginError::config("database.failed", message)
            },
        }
    }
}

fn unreachable_now(message: String) -> PluginError {
    PluginError {
        exit: 1,
        ..PluginError::config("database.unreachable", message)
    }
    .hint("check `host` and `port`, and that the server runs; then run it again")
}

/// The innermost cause, in one line.
fn why(error: &postgres::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = inner.to_string();
        cause = inner.source();
    }
    let plain = text.split(" (os error").next().unwrap_or_default();
    match (error.to_string().as_str(), plain) {
        (outer, inner) if outer == inner => outer.into(),
        (outer, inner) => format!("{outer}: {inner}"),
    }
}

/// A setting that is there and not empty.
fn given_text<'a>(set: &'a settings::Config, name: &str) -> Option<&'a str> {
    Some(set.text(name)).filter(|text| !text.is_empty())
}

fn by_settings(set: &settings::Config) -> Config {
    let mut config = Config::new();
    config.host(set.text("host"));
    let port = set.get("port").and_then(serde_json::Value::as_u64);
    config.port(port.and_then(|port| u16::try_from(port).ok()).unwrap_or(5432));
    if let Some(user) = given_text(set, "user") {
        config.user(user);
    }
    if let Some(name) = given_text(set, "dbname") {
        config.dbname(name);
    }
    if let Some(password) = given_text(set, "password") {
        config.password(password);
    }
    config
}

/// The connection that a URL describes, and its `sslmode`, which the crate knows only half of.
fn by_url(url: &str) -> Result<(Config, Option<String>)> {
    let wrong = |what: &str| {
        // The parser's own words may quote the URL, so they are not shown (I13).
        PluginError::config("config.invalid", format!("the setting \"url\" {what}"))
            .hint("it is postgresql://user:password@host:port/dbname, with % codes for special characters")
    };
    if !url.starts_with("postgresql://") && !url.starts_with("postgres://") {
        return Err(wrong("does not begin with postgresql://"));
    }
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let (modes, rest): (Vec<&str>, Vec<&str>) = query
        .split('&')
        .filter(|part| !part.is_empty())
        .partition(|part| part.starts_with("sslmode="));
    let mode = modes.last().and_then(|part| part.split_once('=')).map(|pair| pair.1);
    if mode.is_some_and(|mode| mode != "allow" && !SSL_MODES.contains(&mode)) {
        return Err(wrong("has an unknown sslmode"));
    }
    let plain = match rest.is_empty() {
        true => address.to_string(),
        false => format!("{address}?{}", rest.join("&")),
    };
    let config = plain.parse::<Config>().map_err(|_| wrong("cannot be read"))?;
    match config.get_hosts().is_empty() {
        true => Err(wrong("names no host")),
        false => Ok((config, mode.map(str::to_owned))),
    }
}

fn place(config: &Config) -> String {
    let ports = config.get_ports();
    let hosts = config.get_hosts().iter().enumerate().map(|(n, host)| {
        let port = ports.get(n).or(ports.first()).copied().unwrap_or(5432);
        match host {
            postgres::config::Host::Tcp(name) => format!("{name}:{port}"),
            postgres::config::Host::Unix(folder) => format!("{}:{port}", folder.display()),
        }
    });
    let hosts = hosts.collect::<Vec<_>>().join(",");
    match config.get_dbname() {
        Some(name) => format!("{hosts}/{name}"),
        None => hosts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{json, Value};

    fn access(values: Value) -> Result<Access> {
        let Value::Object(values) = values else { unreachable!() };
        Access::of(
            &settings::Config::check("tap-postgres", &settings(), values)?,
            "tap-postgres",
        )
    }

    #[test]
    fn places() {
        let place = |values| access(values).map(|found| found.place).map_err(|e| e.to_string());
        assert_eq!(place(json!({})), Ok("localhost:5432".into()));
        assert_eq!(
            place(json!({"host": "/run/pg", "port": 6000, "dbname": "x"})),
            Ok("/run/pg:6000/x".into())
        );
        let url = "postgresql://me:p%40ss@db:7000/shop?sslmode=disable&connect_timeout=3";
        assert_eq!(place(json!({ "url": url })), Ok("db:7000/shop".into()));
        let found = access(json!({ "url": url })).unwrap();
        assert_eq!(found.config.get_password(), Some(&b"p@ss"[..]));
        assert_eq!(found.config.get_ssl_mode(), SslMode::Disable);
        assert_eq!(found.config.get_connect_timeout(), Some(&Duration::from_secs(3)));
        assert!(!format!("{found:?}").contains("p@ss"));
    }

    #[test]
    fn a_url_is_never_quoted() {
        for url in [
            "mysql://u:geheim@h/",
            "postgresql://u:geheim@h/?sslmode=maybe",
            "postgresql://u:geheim@h:port/d",
            "postgresql:///d",
        ] {
            let error = access(json!({ "url": url })).unwrap_err();
            assert_eq!((error.code, error.exit), ("config.invalid", 2), "{error}");
            assert!(!error.to_string().contains("geheim"), "{error}");
        }
    }

    #[test]
    fn a_server_that_is_not_there_is_worth_another_try() {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let found = access(json!({"host": "127.0.0.1", "port": port, "user": "u", "password": "geheim"})).unwrap();
        let Err(error) = found.connect() else {
            panic!("connected")
        };
        assert_eq!((error.code, error.exit), ("database.unreachable", 1), "{error}");
        assert!(error.message.contains("Connection refused"), "{error}");
        assert!(!error.to_string().contains("geheim"));
    }

    #[test]
    fn certificates_that_cannot_be_read_are_named() {
        let error = access(json!({"sslmode": "verify-full", "ssl_root_cert": "/nowhere/ca.pem"})).unwrap_err();
        assert_eq!((error.code, error.exit), ("config.invalid", 2));
        assert!(error.message.contains("/nowhere/ca.pem"), "{error}");
    }
}
