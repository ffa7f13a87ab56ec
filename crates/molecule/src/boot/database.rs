//! Whether anybody listens where the database is said to be: the pool itself would only say that it timed out.

use std::{io, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use tokio::{net::TcpStream, time::Instant};
use url::Url;

use super::BootError;

/// How long a database that starts beside this server may take to listen.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pause between two attempts while nobody listens.
const PAUSE: Duration = Duration::from_millis(250);
const POSTGRES_PORT: u16 = 5432;

/// Waits until the PostgreSQL server of the URL takes connections. SQLite and Unix sockets are left to the store.
///
/// # Errors
/// [`BootError::Database`] with host and port, never with what else the URL holds.
pub async fn reach_database(url: &SecretString) -> Result<(), BootError> {
    match address(url.expose_secret()) {
        Some(address) => reach(address, PATIENCE).await,
        None => Ok(()),
    }
}

async fn reach((host, port): (String, u16), patience: Duration) -> Result<(), BootError> {
    let deadline = Instant::now() + patience;
    loop {
        let attempt = tokio::time::timeout_at(deadline, TcpStream::connect((host.as_str(), port))).await;
        let reason = match attempt {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                if Instant::now() + PAUSE < deadline {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                "nobody listens there".to_owned()
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", patience.as_secs()),
        };
        return Err(BootError::Database {
            address: format!("{host}:{port}"),
            reason,
        });
    }
}

/// Host and port of a PostgreSQL URL that names some.
fn address(url: &str) -> Option<(String, u16)> {
    let url = Url::parse(url)
        .ok()
        .filter(|url| matches!(url.scheme(), "postgres" | "postgresql"))?;
    // A `host` parameter wins, and may be the directory of a socket.
    if url.query_pairs().any(|(name, _)| matches!(&*name, "host" | "hostaddr")) {
        return None;
    }
    let host = url.host_str().filter(|host| !host.is_empty() && !host.contains('%'))?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Some((host, url.port().unwrap_or(POSTGRES_PORT)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (url, expected) in [
            ("postgres://u:p@db.example/m", Some(("db.example", 5432))),
            ("postgresql://[::1]:6000/m", Some(("::1", 6000))),
            ("postgres:///m?host=/run/postgresql", None),
            ("postgres://%2Frun%2Fpostgresql/m", None),
            ("sqlite:///d/m.db", None),
        ] {
            let expected = expected.map(|(host, port)| (host.to_owned(), port));
            assert_eq!(address(url), expected, "{url}");
        }
    }

    #[tokio::test]
    async fn an_absent_database_is_named_without_its_password() {
        let url = |address: std::net::SocketAddr| format!("postgres://user:hunter2@{address}/m");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        reach_database(&url(listener.local_addr().unwrap()).into())
            .await
            .unwrap();
        // Bound and never listening: nobody else can be given the port.
        let silent = tokio::net::TcpSocket::new_v4().unwrap();
        silent.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = silent.local_addr().unwrap().port();
        let url = url(silent.local_addr().unwrap());
        let parts = address(&url).unwrap();
        let text = reach(parts, Duration::ZERO).await.unwrap_err().to_string();
        assert!(
            text.contains(&format!("127.0.0.1:{port}")) && !text.contains("hunter2"),
            "{text}"
        );
    }
}
