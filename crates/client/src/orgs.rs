//! Workspace templates, org templates and org import.

use std::time::Duration;

use molecule_wire::orgs::{ImportOrg, ImportedOrg, OrgTemplateView};
use serde_json::Value;

use crate::{Client, ClientError};

/// An import pauses after each child (PROV-139), so a large org takes minutes.
const IMPORT_TIMEOUT: Duration = Duration::from_secs(3_600);

impl Client {
    /// `GET /templates` (PROV-100). The entries are open objects: templates carry what their runtime needs. Admin.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_templates(&self) -> Result<Vec<Value>, ClientError> {
        self.get(&["templates"]).json().await
    }

    /// `GET /org/templates` (PROV-131). Admin.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_org_templates(&self) -> Result<Vec<OrgTemplateView>, ClientError> {
        self.get(&["org", "templates"]).json().await
    }

    /// `POST /org/import` (PROV-133). A partial import (207) is `Ok` with `error` set. Admin.
    ///
    /// # Errors
    /// [`ClientError`]; status 412 holds a `MissingEnv`.
    pub async fn import_org(&self, import: &ImportOrg) -> Result<ImportedOrg, ClientError> {
        self.post(&["org", "import"])
            .body(import)?
            .timeout(Some(IMPORT_TIMEOUT))
            .json()
            .await
    }
}
