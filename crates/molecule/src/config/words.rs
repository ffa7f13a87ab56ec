//! Values that are one of a few words, or any text.

use std::fmt;

use molecule_core::contract::Sandbox;
use secrecy::SecretString;

/// Does everybody need a credential (D2)?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMode {
    /// Yes.
    Required,
    /// The loopback is admin; only for development and only on a loopback address.
    Open,
}

/// What runs the workspaces (D12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackendChoice {
    /// Control plane with a tenant id, Kubernetes inside a pod with a service account, else processes.
    Auto,
    /// VMs of the control plane.
    ControlPlane,
    /// Pods.
    Kubernetes,
    /// Containers.
    Docker,
    /// Child processes of the server.
    Process,
    /// Nothing: only external agents.
    None,
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One object per line.
    Json,
}

impl fmt::Display for AuthMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Required => "required",
            Self::Open => "open",
        })
    }
}

pub(super) fn text(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

pub(super) fn secret(text: &str) -> Result<SecretString, String> {
    // What cannot be sent in a header can never be presented.
    if text.chars().any(char::is_control) {
        return Err("it holds control characters".to_owned());
    }
    Ok(text.into())
}

pub(super) fn auth(text: &str) -> Result<AuthMode, String> {
    match text.to_ascii_lowercase().as_str() {
        "required" => Ok(AuthMode::Required),
        "open" => Ok(AuthMode::Open),
        _ => Err("unknown mode".to_owned()),
    }
}

pub(super) fn backend(text: &str) -> Result<BackendChoice, String> {
    match text.to_ascii_lowercase().as_str() {
        "auto" => Ok(BackendChoice::Auto),
        "control-plane" => Ok(BackendChoice::ControlPlane),
        "kubernetes" => Ok(BackendChoice::Kubernetes),
        "docker" => Ok(BackendChoice::Docker),
        "process" => Ok(BackendChoice::Process),
        "none" => Ok(BackendChoice::None),
        _ => Err("unknown backend".to_owned()),
    }
}

pub(super) fn sandbox(text: &str) -> Result<Sandbox, String> {
    Sandbox::parse(&text.to_ascii_lowercase()).ok_or_else(|| "unknown mode".to_owned())
}

pub(super) fn log_filter(text: &str) -> Result<String, String> {
    match tracing_subscriber::EnvFilter::builder().parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("not a log filter: {error}")),
    }
}

pub(super) fn log_format(text: &str) -> Result<LogFormat, String> {
    match text.to_ascii_lowercase().as_str() {
        "pretty" => Ok(LogFormat::Pretty),
        "json" => Ok(LogFormat::Json),
        _ => Err("unknown format".to_owned()),
    }
}
