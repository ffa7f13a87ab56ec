//! The listening socket.

use std::{io, net::SocketAddr};

use tokio::net::TcpListener;

use super::BootError;
use crate::config::ServerConfig;

/// Listens on an address.
///
/// # Errors
/// [`BootError::Listen`], which says what to do about it.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, BootError> {
    TcpListener::bind(address).await.map_err(|error| BootError::Listen {
        address,
        reason: reason(&error),
    })
}

/// What is to be said of a server that others reach over plain HTTP: everybody on the way reads tokens.
#[must_use]
pub fn plain_http(config: &ServerConfig) -> Option<String> {
    let address = config.listen();
    (config.tls.is_none() && !address.ip().is_loopback()).then(|| {
        format!(
            "{address} is reached from other machines, over plain HTTP: tokens and messages can be read on the way; give it \
             a certificate (MOLECULE_TLS_CERT), put a proxy with TLS before it, or listen on 127.0.0.1"
        )
    })
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "the port is in use; stop the other program, or choose another port with --port".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "this user may not use the port; choose one above 1023 with --port".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine does not have that address; choose another with --host".to_owned()
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Flags, Sources, load};

    #[test]
    fn beyond_this_machine_it_warns() {
        let with = |set: &[(&'static str, &'static str)]| {
            let set = [("HOME", "/home/u")].into_iter().chain(set.iter().copied());
            load(&Sources::of(Flags::default(), set)).unwrap().config
        };
        let config = |host| with(&[("MOLECULE_HOST", host)]);
        assert_eq!(plain_http(&config("127.0.0.1")), None);
        assert_eq!(plain_http(&config("::1")), None);
        assert!(plain_http(&config("0.0.0.0")).unwrap().contains("plain HTTP"));
        let tls = with(&[
            ("MOLECULE_HOST", "0.0.0.0"),
            ("MOLECULE_TLS_CERT", "/c"),
            ("MOLECULE_TLS_KEY", "/k"),
        ]);
        assert_eq!(plain_http(&tls), None);
    }

    #[tokio::test]
    async fn a_taken_port_says_so() {
        let first = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let error = bind(first.local_addr().unwrap()).await.unwrap_err();
        assert!(
            error.to_string().contains("in use") && error.to_string().contains("--port"),
            "{error}"
        );
        // TEST-NET-1 belongs to no machine.
        let error = bind("192.0.2.1:0".parse().unwrap()).await.unwrap_err();
        assert!(error.to_string().contains("--host"), "{error}");
    }
}
