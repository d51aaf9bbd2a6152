//! Which certificate authorities are trusted: the system's, and those of a file.

use std::io;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};

use super::tls::TlsSetupError;

/// Where the usual Linux systems keep their authorities, in one PEM file each.
const SYSTEM_FILES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/ssl/cert.pem",
];
/// Bytes of one file of authorities.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// The system's authorities and those of `ca_file`. Reads files: it blocks for some milliseconds.
///
/// The system's are those of the file that SSL_CERT_FILE names, or else of the first known place that exists.
pub(super) fn load(ca_file: Option<&Path>) -> Result<RootCertStore, TlsSetupError> {
    let mut store = RootCertStore::empty();
    let named = std::env::var_os("SSL_CERT_FILE").filter(|name| !name.is_empty()).map(PathBuf::from);
    let system = named.clone().or_else(|| SYSTEM_FILES.iter().map(PathBuf::from).find(|path| path.exists()));
    if let Some(path) = &system {
        let certificates = read(path)?;
        // Old systems hold authorities that are written in ways no longer allowed; the others still count.
        store.add_parsable_certificates(certificates);
    }
    if let Some(path) = ca_file {
        for certificate in read(path)? {
            let added = store.add(certificate);
            added.map_err(|error| TlsSetupError::BadAuthority(path.to_owned(), error.to_string()))?;
        }
    }
    if store.is_empty() {
        return Err(TlsSetupError::NoAuthorities(system));
    }
    Ok(store)
}

fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsSetupError> {
    let unreadable = |error| TlsSetupError::Unreadable(path.to_owned(), error);
    let length = std::fs::metadata(path).map_err(unreadable)?.len();
    if length > MAX_FILE_BYTES {
        let message = format!("it has {length} bytes; {MAX_FILE_BYTES} are allowed");
        return Err(unreadable(io::Error::new(io::ErrorKind::FileTooLarge, message)));
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let certificates: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&bytes).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => {
            Err(TlsSetupError::BadAuthority(path.to_owned(), "it holds no PEM certificate".to_owned()))
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(TlsSetupError::BadAuthority(path.to_owned(), error.to_string())),
    }
}
