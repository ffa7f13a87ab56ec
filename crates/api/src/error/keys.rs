//! What went wrong with credentials, keys and what an org allows, as a status.

use http::StatusCode;
use molecule_platform::{
    allowlists::AllowlistError, credentials::MintOrgError, secrets::RotateError, vault::VaultError,
};
use molecule_wire::words::ErrorCode;

use super::{ApiError, map::failed};

impl From<MintOrgError> for ApiError {
    fn from(error: MintOrgError) -> Self {
        match error {
            MintOrgError::TooMany => Self::new(StatusCode::TOO_MANY_REQUESTS, error.to_string()),
            MintOrgError::Store(_) => failed(&error),
        }
    }
}

impl From<VaultError> for ApiError {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Configured(_) => configured(format!("the admin token cannot be changed: {error}")),
            VaultError::Storage(_) => Self::store("the new token could not be stored; the old one stays", &error),
        }
    }
}

impl From<RotateError> for ApiError {
    fn from(error: RotateError) -> Self {
        match error {
            RotateError::Configured(_) => configured(error.to_string()),
            RotateError::NoVault => Self::new(StatusCode::NOT_IMPLEMENTED, error.to_string()),
            RotateError::Vault(_) | RotateError::Seal(_) | RotateError::Store(_) => failed(&error),
        }
    }
}

impl From<AllowlistError> for ApiError {
    fn from(error: AllowlistError) -> Self {
        match error {
            AllowlistError::Unknown => Self::not_found(error.to_string()),
            AllowlistError::Anonymous => Self::bad_request(error.to_string()),
            AllowlistError::BadName { ref name, detail } => Self::bad_request(error.to_string())
                .with("plugin_name", name.as_str())
                .with("detail", detail),
            AllowlistError::Store(_) => failed(&error),
        }
    }
}

fn configured(text: String) -> ApiError {
    ApiError::new(StatusCode::CONFLICT, text).code(ErrorCode::Configured)
}
