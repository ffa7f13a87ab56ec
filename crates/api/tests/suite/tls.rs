//! TLS that ends in the server.

use std::{fs, sync::Arc};

use molecule_api::{Tls, TlsError};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use crate::common::*;

const CERTIFICATES: [&str; 2] = [include_str!("tls/one.pem"), include_str!("tls/two.pem")];
const KEYS: [&str; 2] = [include_str!("tls/one.key"), include_str!("tls/two.key")];

/// Asks over TLS, trusting one certificate alone; the answer's text, or why there is none.
async fn ask(address: std::net::SocketAddr, trusted: &str, request: &str) -> Result<String, String> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(trusted.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let mut stream = connector
        .connect(name, stream)
        .await
        .map_err(|error| error.to_string())?;
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok();
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ADMIN}\r\nConnection: close\r\n\r\n")
}

#[tokio::test]
async fn a_certificate_is_used_and_replaced_while_the_server_runs() {
    let database = molecule_testkit::sqlite::database();
    let dir = tempfile::tempdir().unwrap();
    let (certificate, key) = (dir.path().join("tls.pem"), dir.path().join("tls.key"));
    let put = |n: usize| {
        fs::write(&certificate, CERTIFICATES[n]).unwrap();
        fs::write(&key, KEYS[n]).unwrap();
    };
    put(0);
    let tls = Tls::load(&certificate, &key).unwrap();
    let server = Server::with_tls(database.url(), Options::default(), tls.clone()).await;
    let health = ask(server.address, CERTIFICATES[0], &get("/health")).await.unwrap();
    assert!(
        health.starts_with("HTTP/1.1 200") && health.contains(r#"{"status":"ok"}"#),
        "{health}"
    );
    // Addresses that are handed out are https, where nothing else is configured.
    let body = "POST /auth/login-codes HTTP/1.1\r\nContent-Length: 0\r\n";
    let code = get("/").replacen("GET / HTTP/1.1\r\n", body, 1);
    let code = ask(server.address, CERTIFICATES[0], &code).await.unwrap();
    assert!(code.contains("https://localhost/#code="), "{code}");
    // Agents and the command line of this machine need none.
    server.get("/health").send().await.expect(200);
    assert!(ask(server.address, CERTIFICATES[1], &get("/health")).await.is_err());

    assert!(!tls.refresh(), "nothing was replaced");
    // The key follows its certificate a moment later.
    fs::write(&certificate, CERTIFICATES[1]).unwrap();
    fs::write(&key, format!("{}\n", KEYS[0])).unwrap();
    assert!(!tls.refresh());
    ask(server.address, CERTIFICATES[0], &get("/health")).await.unwrap();
    fs::write(&key, format!("{}\n\n", KEYS[1])).unwrap();
    assert!(tls.refresh());
    ask(server.address, CERTIFICATES[1], &get("/health")).await.unwrap();
    assert!(ask(server.address, CERTIFICATES[0], &get("/health")).await.is_err());
    fs::remove_file(&key).unwrap();
    assert!(!tls.refresh());
    ask(server.address, CERTIFICATES[1], &get("/health")).await.unwrap();
}

#[test]
fn files_that_are_none_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    for (name, text) in [
        ("one.pem", CERTIFICATES[0]),
        ("one.key", KEYS[0]),
        ("two.key", KEYS[1]),
        ("junk", "junk"),
    ] {
        fs::write(path(name), text).unwrap();
    }
    assert!(Tls::load(&path("one.pem"), &path("one.key")).is_ok());
    for (certificate, key, named) in [
        ("absent", "one.key", "absent"),
        ("junk", "one.key", "junk"),
        ("one.pem", "absent", "absent"),
        ("one.pem", "junk", "junk"),
        ("one.pem", "two.key", "two.key"),
    ] {
        let error = Tls::load(&path(certificate), &path(key)).unwrap_err();
        assert!(error.to_string().contains(named), "{error}");
        assert_eq!(matches!(error, TlsError::Mismatch { .. }), key == "two.key", "{error}");
    }
}
