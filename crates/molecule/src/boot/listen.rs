//! The listening socket.

use std::{io, net::SocketAddr};

use tokio::net::TcpListener;

use super::BootError;

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
