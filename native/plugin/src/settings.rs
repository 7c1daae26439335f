//! Settings declared once: their JSON Schema, their check, their defaults and their environment variables.

use serde::de::DeserializeOwned;
use serde_json::{json, Map, Value};

use crate::error::{PluginError, Result};

/// What a setting may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// true or false.
    Flag,
    /// An integer from 0.
    Count,
    /// A number from 0 to 1.
    Share,
    /// A string or a list of strings.
    Texts,
    /// true, false or a list of strings.
    FlagOrTexts,
    /// A list of strings or an object.
    TextsOrObject,
    /// A string or an object.
    TextOrObject,
    /// An object.
    Object,
    /// One of these strings.
    Choice(&'static [&'static str]),
}

impl Kind {
    fn fits(self, value: &Value) -> bool {
        let texts = |v: &Value| v.as_array().is_some_and(|items| items.iter().all(Value::is_string));
        match self {
            Kind::Text => value.is_string(),
            Kind::Flag => value.is_boolean(),
            Kind::Count => value.as_u64().is_some(),
            Kind::Share => value.as_f64().is_some_and(|share| (0.0..=1.0).contains(&share)),
            Kind::Texts => value.is_string() || texts(value),
            Kind::FlagOrTexts => value.is_boolean() || texts(value),
            Kind::TextsOrObject => value.is_object() || texts(value),
            Kind::TextOrObject => value.is_string() || value.is_object(),
            Kind::Object => value.is_object(),
            Kind::Choice(names) => value.as_str().is_some_and(|v| names.contains(&v)),
        }
    }

    fn says(self) -> String {
        match self {
            Kind::Text => "a string".into(),
            Kind::Flag => "true or false".into(),
            Kind::Count => "an integer from 0".into(),
            Kind::Share => "a number from 0 to 1".into(),
            Kind::Texts => "a string or a list of strings".into(),
            Kind::FlagOrTexts => "true, false or a list of strings".into(),
            Kind::TextsOrObject => "a list of strings or an object".into(),
            Kind::TextOrObject => "a string or an object".into(),
            Kind::Object => "an object".into(),
            Kind::Choice(names) => format!("one of {}", names.join(", ")),
        }
    }

    fn schema(self) -> Value {
        let texts = json!({"type": "array", "items": {"type": "string"}});
        match self {
            Kind::Text => json!({"type": "string"}),
            Kind::Flag => json!({"type": "boolean"}),
            Kind::Count => json!({"type": "integer", "minimum": 0}),
            Kind::Share => json!({"type": "number", "minimum": 0, "maximum": 1}),
            Kind::Texts => json!({"anyOf": [{"type": "string"}, texts]}),
            Kind::FlagOrTexts => json!({"anyOf": [{"type": "boolean"}, texts]}),
            Kind::TextsOrObject => json!({"anyOf": [texts, {"type": "object"}]}),
            Kind::TextOrObject => json!({"type": ["string", "object"]}),
            Kind::Object => json!({"type": "object"}),
            Kind::Choice(names) => json!({"type": "string", "enum": names}),
        }
    }

    /// An environment variable's text as a value: JSON where it is that, else the text itself.
    fn read_text(self, text: &str) -> Value {
        let parsed = serde_json::from_str::<Value>(text).ok().filter(|v| self.fits(v));
        match (self, parsed) {
            (Kind::Text | Kind::Choice(_), _) | (_, None) => Value::String(text.into()),
            (_, Some(value)) => value,
        }
    }
}

/// One setting.
#[derive(Clone, Debug)]
pub struct Setting {
    name: &'static str,
    kind: Kind,
    about: &'static str,
    default: Option<Value>,
    required: bool,
    secret: bool,
    properties: Option<Value>,
}

impl Setting {
    /// A setting with its name, kind and one sentence about it.
    pub const fn new(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Setting {
            name,
            kind,
            about,
            default: None,
            required: false,
            secret: false,
            properties: None,
        }
    }

    /// It must be given.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Its value when it is not given.
    #[must_use]
    pub fn default(mut self, value: impl Into<Value>) -> Self {
        self.default = Some(value.into());
        self
    }

    /// Its value is never shown (I13).
    #[must_use]
    pub fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// What its object may hold: JSON Schemas by name, each with its `description`, perhaps `secret`.
    #[must_use]
    pub fn properties(mut self, properties: Value) -> Self {
        self.properties = Some(properties);
        self
    }
}

/// The JSON Schema of a plugin's settings, for its manifest.
pub fn schema(settings: &[Setting]) -> Value {
    let mut properties = Map::new();
    for setting in settings {
        let mut property = setting.kind.schema();
        property["description"] = json!(setting.about);
        if let Some(default) = &setting.default {
            property["default"] = default.clone();
        }
        if let Some(properties) = &setting.properties {
            property["properties"] = properties.clone();
        }
        if setting.secret {
            property["secret"] = json!(true);
        }
        properties.insert(setting.name.into(), property);
    }
    let required: Vec<_> = settings.iter().filter(|s| s.required).map(|s| s.name).collect();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

/// The environment variable of a setting: `TAP_CSV_FILES` for `files` of `tap-csv`.
pub fn variable(plugin: &str, setting: &str) -> String {
    format!("{plugin}_{setting}")
        .to_uppercase()
        .replace(['-', '.', ' '], "_")
}

/// What the environment says of the settings, for `--config ENV`.
pub fn from_environment(plugin: &str, settings: &[Setting]) -> Map<String, Value> {
    let value_of = |s: &Setting| {
        std::env::var(variable(plugin, s.name))
            .ok()
            .map(|text| s.kind.read_text(&text))
    };
    settings
        .iter()
        .filter_map(|s| Some((s.name.to_string(), value_of(s)?)))
        .collect()
}

/// A plugin's settings, checked, with defaults filled in.
#[derive(Clone, Debug, Default)]
pub struct Config {
    values: Map<String, Value>,
}

impl Config {
    /// Check values against the declared settings. Messages name the setting and never its value (I13).
    pub fn check(plugin: &str, settings: &[Setting], mut values: Map<String, Value>) -> Result<Self> {
        values.retain(|_, value| !value.is_null());
        for (name, value) in &values {
            let Some(setting) = settings.iter().find(|s| s.name == name) else {
                let known: Vec<_> = settings.iter().map(|s| s.name).collect();
                return Err(
                    PluginError::config("config.unknown", format!("{plugin} has no setting {name:?}"))
                        .hint(format!("it knows: {}", known.join(", "))),
                );
            };
            if !setting.kind.fits(value) {
                let message = format!("{plugin}: the setting {name:?} must be {}", setting.kind.says());
                return Err(PluginError::config("config.invalid", message).hint(setting.about));
            }
        }
        for setting in settings {
            match (&setting.default, values.contains_key(setting.name)) {
                (Some(default), false) => drop(values.insert(setting.name.into(), default.clone())),
                (None, false) if setting.required => {
                    let variable = variable(plugin, setting.name);
                    let message = format!("{plugin} needs the setting {:?}: {}", setting.name, setting.about);
                    return Err(PluginError::config("config.missing", message).hint(format!(
                        "put it into the --config file, or set {variable} and add --config ENV"
                    )));
                }
                _ => {}
            }
        }
        Ok(Config { values })
    }

    /// The settings as a type of yours.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        // The error's text may quote a value, so it is not shown (I13).
        serde_json::from_value(Value::Object(self.values.clone()))
            .map_err(|_| PluginError::config("config.invalid", "the settings do not fit together").hint("see --about"))
    }

    /// One setting's value.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// One setting as text; empty when it is not given.
    pub fn text(&self, name: &str) -> &str {
        self.get(name).and_then(Value::as_str).unwrap_or_default()
    }
}
