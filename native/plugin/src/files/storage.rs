//! The `storage` setting, and the object stores that it opens.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use serde_json::{json, Map, Value};

use super::address::{Object, Scheme};
use super::engine::{Coming, Engine};
use super::fault;
use crate::error::{PluginError, Result};
use crate::settings::{Config, Kind, Setting};

/// What to put into [`Needs::network`](crate::Needs): the hosts that addresses and `storage.endpoint` name.
pub const NETWORK: &[&str] = &["config"];

const NAME: &str = "storage";
/// An answer to one request takes no longer, once the connection is there.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The `storage` setting: names as object_store has them, the same as in `state.options`.
pub fn setting() -> Setting {
    let text = |about: &str| json!({"type": "string", "description": about});
    let secret = |about: &str| json!({"type": "string", "description": about, "secret": true});
    let about =
        "How object stores are opened, by object_store's names; what is missing comes from the environment (AWS_…, \
                 GOOGLE_…, AZURE_…), as far as it is passed.";
    Setting::new(NAME, Kind::Object, about).properties(json!({
        "endpoint": text("The service's URL, when it is not the cloud's own; http:// only where it says so."),
        "region": text("The bucket's region."),
        "access_key_id": text("S3: the key's name."),
        "secret_access_key": secret("S3: the key."),
        "session_token": secret("S3: the token of a key that was lent."),
        "google_service_account": text("Google: the path of a service account's file."),
        "google_service_account_key": secret("Google: that file's content."),
        "azure_storage_account_name": text("Azure: the account."),
        "azure_storage_account_key": secret("Azure: its key."),
        "azure_storage_sas_token": secret("Azure: a shared access signature."),
        "skip_signature": json!({"type": "boolean", "description": "Ask without any key: public buckets."}),
        "virtual_hosted_style_request": json!({"type": "boolean", "description": "S3: the bucket is part of the host's name."}),
    }))
}

type Stores = HashMap<(Scheme, String), Arc<dyn ObjectStore>>;

/// Files of this machine and of object stores. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Files {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    options: Map<String, Value>,
    stores: Mutex<Stores>,
    engine: OnceLock<Engine>,
}

impl Files {
    /// With the `storage` setting of a plugin.
    pub fn of(config: &Config) -> Self {
        let options = config.get(NAME).and_then(Value::as_object).cloned().unwrap_or_default();
        let (stores, engine) = Default::default();
        Files {
            shared: Arc::new(Shared {
                options,
                stores,
                engine,
            }),
        }
    }

    /// With a store of the caller's for one bucket, for tests.
    #[must_use]
    pub fn with_store(self, scheme: Scheme, bucket: &str, store: Arc<dyn ObjectStore>) -> Self {
        self.stores().insert((scheme, bucket.into()), store);
        self
    }

    fn stores(&self) -> std::sync::MutexGuard<'_, Stores> {
        self.shared
            .stores
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The store of an object's bucket.
    pub(crate) fn store(&self, object: &Object) -> Result<Arc<dyn ObjectStore>> {
        let place = (object.scheme, object.bucket.clone());
        if let Some(store) = self.stores().get(&place) {
            return Ok(Arc::clone(store));
        }
        let store = open(object, &self.shared.options)?;
        self.stores().insert(place, Arc::clone(&store));
        Ok(store)
    }

    /// Start a request.
    pub(crate) fn begin<T: Send + 'static>(
        &self,
        work: impl std::future::Future<Output = T> + Send + 'static,
    ) -> Result<Coming<T>> {
        if let Some(engine) = self.shared.engine.get() {
            return Ok(engine.begin(work));
        }
        let engine = Engine::start()?;
        Ok(self.shared.engine.get_or_init(|| engine).begin(work))
    }

    /// Make a request and wait for its answer.
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        work: impl std::future::Future<Output = T> + Send + 'static,
    ) -> Result<T> {
        self.begin(work)?.wait()
    }
}

fn open(object: &Object, options: &Map<String, Value>) -> Result<Arc<dyn ObjectStore>> {
    // One library of cryptography for stores and databases alike; an error says that it is set already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let url = format!("{}://{}", object.scheme.name(), object.bucket);
    let retries = RetryConfig {
        backoff: BackoffConfig::default(),
        max_retries: 6,
        retry_timeout: Duration::from_secs(90),
    };
    let plain = options
        .iter()
        .any(|(key, value)| key.ends_with("endpoint") && value.as_str().is_some_and(|v| v.starts_with("http://")));
    let client = ClientOptions::new().with_timeout(TIMEOUT).with_allow_http(plain);
    // What is told of a wrong option is its name alone (I13).
    let unknown = |key: &str| {
        PluginError::config(
            "config.invalid",
            format!("storage: {key:?} says nothing to {}", object.scheme.name()),
        )
        .hint("the names are those of the crate object_store: endpoint, region, access_key_id, …")
    };
    macro_rules! built {
        ($builder:ty) => {{
            let mut builder = <$builder>::from_env()
                .with_url(&url)
                .with_retry(retries)
                .with_client_options(client);
            for (key, value) in options {
                let value = match value {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                builder = builder.with_config(key.to_ascii_lowercase().parse().map_err(|_| unknown(key))?, value);
            }
            let built = builder.build().map_err(|e| match e {
                object_store::Error::Generic { .. } => PluginError::config(
                    "config.invalid",
                    format!("storage: {url} cannot be opened with these options"),
                )
                .hint("see the setting `storage` in --about; a key and its secret come together"),
                e => fault::told("cannot open", &url, &e),
            })?;
            Ok(Arc::new(built))
        }};
    }
    match object.scheme {
        Scheme::S3 => built!(AmazonS3Builder),
        Scheme::Google => built!(GoogleCloudStorageBuilder),
        Scheme::Azure => built!(MicrosoftAzureBuilder),
    }
}
