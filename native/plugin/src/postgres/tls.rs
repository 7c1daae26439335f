//! Encryption as libpq understands it: whom to trust is the user's choice, down to nobody and everybody.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_name, WebPkiServerVerifier};
use rustls::crypto::{ring, verify_tls12_signature, verify_tls13_signature, CryptoProvider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::{PluginError, Result};

/// What a server's certificate must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Anything: the connection is only hidden from those who listen.
    Anyone,
    /// Signed by one of the certificates that are trusted.
    Chain,
    /// And made out for the host.
    Named,
}

/// A connector that trusts the certificates of a file, or those of the system.
pub fn connector(trust: Trust, file: Option<&Path>) -> Result<MakeRustlsConnect> {
    let provider = Arc::new(ring::default_provider());
    let roots = match trust {
        Trust::Anyone => vec![],
        _ => certificates(file)?,
    };
    let chain = match trust {
        Trust::Anyone => None,
        _ => {
            let mut store = RootCertStore::empty();
            store.add_parsable_certificates(roots.iter().cloned());
            let built = WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(&provider)).build();
            Some(built.map_err(|e| none_to_trust(&e.to_string()))?)
        }
    };
    let judge = Judge {
        trust,
        roots,
        chain,
        provider: Arc::clone(&provider),
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| PluginError::environment("env.kernel", format!("TLS cannot be used: {e}")))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(judge))
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn none_to_trust(why: &str) -> PluginError {
    PluginError::config("config.invalid", format!("there is no certificate to trust: {why}"))
        .hint("set `ssl_root_cert` to a PEM file, or `sslmode` to require")
}

fn certificates(file: Option<&Path>) -> Result<Vec<CertificateDer<'static>>> {
    let Some(path) = file else {
        let found = rustls_native_certs::load_native_certs();
        return match found.certs.is_empty() {
            true => Err(none_to_trust("the system has none")),
            false => Ok(found.certs),
        };
    };
    let text = std::fs::read(path).map_err(|e| PluginError::io("cannot read `ssl_root_cert`", path, &e))?;
    let read: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match read {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(none_to_trust(&format!(
            "`ssl_root_cert` ({}) is no PEM file of certificates",
            path.display()
        ))),
    }
}

#[derive(Debug)]
struct Judge {
    trust: Trust,
    roots: Vec<CertificateDer<'static>>,
    chain: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else {
            return Ok(ServerCertVerified::assertion());
        };
        // A certificate that is trusted itself needs nobody who signed it: a server's own, as PostgreSQL's manual makes it.
        if self.roots.iter().any(|root| root == end_entity) {
            if self.trust == Trust::Named {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            }
            return Ok(ServerCertVerified::assertion());
        }
        match chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The name is looked at after all else.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.trust == Trust::Chain => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
