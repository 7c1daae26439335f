//! What an object store says, as what the user can do about it.

use object_store::Error;

use crate::error::PluginError;

/// A failed request. I13: the library's text is shown as far as its first line; no setting's value is in it.
pub(crate) fn told(what: &str, shown: &dyn std::fmt::Display, error: &Error) -> PluginError {
    let said = short(error);
    let message = format!("{what} {shown}: {said}");
    match error {
        Error::NotFound { .. } => {
            PluginError::config("config.invalid", message).hint("check the bucket and the key in the settings")
        }
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
            PluginError::environment("env.permission", message)
                .hint("check the keys in `storage`, and what they may do in this bucket")
        }
        Error::Precondition { .. } => PluginError::data("data.bad_source", format!("{shown} was changed while it was read"))
            .hint("run it again when nothing writes it any more"),
        Error::UnknownConfigurationKey { .. } | Error::InvalidPath { .. } => {
            PluginError::config("config.invalid", message).hint("see the names in the setting `storage`")
        }
        Error::NotSupported { .. } | Error::NotImplemented { .. } => {
            PluginError::environment("env.storage", message).hint("use a store that can do this")
        }
        // Another attempt may help.
        _ => PluginError {
            exit: 1,
            ..PluginError::environment("env.storage", message).hint(
                "check `storage.endpoint` and `storage.region`, and that the host is granted: dativo allow PLUGIN --network HOST:PORT",
            )
        },
    }
}

/// The first line, which is what the service said, up to 300 characters.
fn short(error: &Error) -> String {
    let mut text = error.to_string();
    let mut inner: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(deeper) = inner {
        let more = deeper.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        inner = deeper.source();
    }
    text.lines().next().unwrap_or_default().chars().take(300).collect()
}
