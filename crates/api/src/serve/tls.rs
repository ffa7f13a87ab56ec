//! TLS that ends in the server itself, for those without a proxy. Certificate and key are files; what replaces them is
//! used for connections from then on.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use parking_lot::{Mutex, RwLock};
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio_rustls::TlsAcceptor;

/// Why TLS cannot be offered. Says which file, never what is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or holds nothing of use.
    #[error("{path} holds no usable {what}: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// Certificate or key.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The two do not belong together.
    #[error("the key in {key} does not belong to the certificate in {certificate}: {reason}")]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// A certificate and its key, as files that may be replaced.
#[derive(Debug, Clone)]
pub struct Tls {
    inner: Arc<Inner>,
}

struct Inner {
    certificate: PathBuf,
    key: PathBuf,
    current: Arc<Current>,
    /// The state of the files that was looked at last.
    seen: Mutex<Stamp>,
    config: Arc<ServerConfig>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

/// What tells one state of the two files from another.
type Stamp = [Option<(SystemTime, u64)>; 2];

/// What is presented to clients.
struct Current(RwLock<Arc<CertifiedKey>>);

impl std::fmt::Debug for Current {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Current").finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().clone())
    }
}

impl Tls {
    /// Reads a chain of certificates and a private key, PEM both.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let seen = stamp(certificate, key);
        let current = Arc::new(Current(RwLock::new(Arc::new(read(certificate, key, &provider)?))));
        let mismatch = |reason: rustls::Error| TlsError::Mismatch {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            reason: reason.to_string(),
        };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(mismatch)?
            .with_no_client_auth()
            .with_cert_resolver(current.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            inner: Arc::new(Inner {
                certificate: certificate.to_owned(),
                key: key.to_owned(),
                current,
                seen: Mutex::new(seen),
                config: Arc::new(config),
            }),
        })
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.inner.config.clone())
    }

    /// Uses what the files hold now, if they were replaced. What cannot be used is said once and left: the old pair goes
    /// on, and another change is another attempt, as when the key follows its certificate a moment later.
    pub fn refresh(&self) -> bool {
        let inner = &*self.inner;
        let now = stamp(&inner.certificate, &inner.key);
        {
            let mut seen = inner.seen.lock();
            if *seen == now {
                return false;
            }
            *seen = now;
        }
        match read(&inner.certificate, &inner.key, inner.config.crypto_provider()) {
            Ok(pair) => {
                *inner.current.0.write() = Arc::new(pair);
                tracing::info!(certificate = %inner.certificate.display(), "the TLS certificate was replaced");
                true
            }
            Err(error) => {
                tracing::error!(%error, "the TLS certificate was not replaced: the old one goes on");
                false
            }
        }
    }
}

fn stamp(certificate: &Path, key: &Path) -> Stamp {
    [certificate, key].map(|path| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    })
}

fn read(certificate: &Path, key: &Path, provider: &Arc<CryptoProvider>) -> Result<CertifiedKey, TlsError> {
    let unusable = |path: &Path, what, reason: String| TlsError::File {
        path: path.to_owned(),
        what,
        reason,
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unusable(certificate, "certificate", error.to_string()))?;
    if chain.is_empty() {
        return Err(unusable(certificate, "certificate", "there is none in it".to_owned()));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, "key", error.to_string()))?;
    CertifiedKey::from_der(chain, private, provider).map_err(|error| TlsError::Mismatch {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        reason: error.to_string(),
    })
}
