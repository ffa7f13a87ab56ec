//! What went wrong with a workspace, as a status.

use http::StatusCode;
use molecule_platform::{
    agents::AgentError,
    workspaces::{
        BudgetError, CollapseError, CreateError, DeleteError, ExpandError, HibernateError, LogsError, PatchError,
        PauseError, RestartError, RestoreError, ResumeError, TeamError, WakeError,
    },
};
use molecule_wire::words::ErrorCode;

use super::{ApiError, map::failed};

/// What is wrong behind `invalid workspace directory` (LIFE-2).
const DIRECTORY_RULE: &str = "workspace_dir must be an absolute path without .., outside of system directories";
/// What is wrong behind `invalid workspace access`.
const ACCESS_RULE: &str =
    "workspace_access must be none, read_only or read_write, and anything but none needs a workspace_dir";

impl From<CreateError> for ApiError {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::BadFields { ref detail } => {
                Self::bad_request(error.to_string()).with("detail", detail.as_str())
            }
            CreateError::BadTemplate => Self::bad_request(error.to_string()).with(
                "detail",
                "template names a directory among the workspace templates, without .. or a leading /",
            ),
            CreateError::BadDirectory => Self::bad_request(error.to_string()).with("detail", DIRECTORY_RULE),
            CreateError::BadAccess => Self::bad_request(error.to_string()).with("detail", ACCESS_RULE),
            CreateError::BadPayload => {
                Self::bad_request(error.to_string()).with("detail", "name is required and must not be empty")
            }
            CreateError::BadMode
            | CreateError::BadBudget
            | CreateError::BadUrl(_)
            | CreateError::BadParent
            | CreateError::BadSecretKey(_)
            | CreateError::BadSecretValue(_) => Self::bad_request(error.to_string()),
            CreateError::Encrypt(_) | CreateError::Store(_) => failed(&error),
        }
    }
}

impl From<PatchError> for ApiError {
    fn from(error: PatchError) -> Self {
        match error {
            PatchError::BadDirectory => Self::bad_request(error.to_string()).with("detail", DIRECTORY_RULE),
            PatchError::BadAccess => Self::bad_request(error.to_string()).with("detail", ACCESS_RULE),
            PatchError::BadRequest | PatchError::BadField(_) | PatchError::BadParent(_) | PatchError::RuntimeKind => {
                Self::bad_request(error.to_string())
            }
            PatchError::AdminOnly(_) => Self::new(StatusCode::FORBIDDEN, error.to_string()).code(ErrorCode::AdminOnly),
            PatchError::NotFound => Self::not_found(error.to_string()),
            PatchError::Store(_) => failed(&error),
        }
    }
}

impl From<DeleteError> for ApiError {
    fn from(error: DeleteError) -> Self {
        match error {
            DeleteError::ConfirmationRequired(body) => Self::json(StatusCode::CONFLICT, &body),
            DeleteError::Stops(body) => Self::json(StatusCode::INTERNAL_SERVER_ERROR, &body),
            DeleteError::Children(_) | DeleteError::Store(_) | DeleteError::Purge(_) => failed(&error),
        }
    }
}

impl From<RestartError> for ApiError {
    fn from(error: RestartError) -> Self {
        match error {
            RestartError::NotFound => Self::not_found(error.to_string()),
            RestartError::PausedParent(_) => Self::new(StatusCode::CONFLICT, error.to_string()),
            RestartError::NoBackend => Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
            RestartError::Store(_) => failed(&error),
        }
    }
}

impl From<PauseError> for ApiError {
    fn from(error: PauseError) -> Self {
        match error {
            PauseError::NotFound => Self::not_found(error.to_string()),
            PauseError::Store(_) => failed(&error),
        }
    }
}

impl From<ResumeError> for ApiError {
    fn from(error: ResumeError) -> Self {
        match error {
            ResumeError::NotFound => Self::not_found(error.to_string()),
            ResumeError::PausedParent(_) => Self::new(StatusCode::CONFLICT, error.to_string()),
            ResumeError::NoBackend => Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
            ResumeError::Store(_) => failed(&error),
        }
    }
}

impl From<HibernateError> for ApiError {
    fn from(error: HibernateError) -> Self {
        match error {
            HibernateError::NotHibernatable => Self::not_found(error.to_string()),
            HibernateError::Busy(tasks) => {
                Self::new(StatusCode::CONFLICT, error.to_string()).with("active_tasks", tasks)
            }
            HibernateError::External => {
                Self::new(StatusCode::CONFLICT, error.to_string()).code(ErrorCode::ExternalWorkspace)
            }
            HibernateError::NotClaimed => {
                Self::new(StatusCode::CONFLICT, error.to_string()).code(ErrorCode::ChangedMeanwhile)
            }
            HibernateError::NotStopped => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).code(ErrorCode::NotStopped)
            }
            HibernateError::Store(_) => failed(&error),
        }
    }
}

impl From<WakeError> for ApiError {
    fn from(error: WakeError) -> Self {
        match error {
            WakeError::NotHibernated => Self::not_found(error.to_string()),
            WakeError::PausedParent(_) => Self::new(StatusCode::CONFLICT, error.to_string()),
            WakeError::NoBackend => Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
            WakeError::Store(_) => failed(&error),
        }
    }
}

impl From<ExpandError> for ApiError {
    fn from(error: ExpandError) -> Self {
        match error {
            ExpandError::NotFound => Self::not_found(error.to_string()),
            ExpandError::Team(TeamError::NoConfig | TeamError::NoTeam) => Self::bad_request(error.to_string()),
            ExpandError::Team(TeamError::Unreadable(_) | TeamError::Malformed(_)) | ExpandError::Store(_) => {
                failed(&error)
            }
        }
    }
}

impl From<CollapseError> for ApiError {
    fn from(error: CollapseError) -> Self {
        match error {
            CollapseError::NotFound => Self::not_found(error.to_string()),
            CollapseError::Stops(body) => Self::json(StatusCode::INTERNAL_SERVER_ERROR, &body),
            CollapseError::Store(_) => failed(&error),
        }
    }
}

impl From<RestoreError> for ApiError {
    fn from(error: RestoreError) -> Self {
        match error {
            RestoreError::NotFound => Self::not_found(error.to_string()),
            RestoreError::NotRemoved | RestoreError::RemovedParent(_) => {
                Self::new(StatusCode::CONFLICT, error.to_string())
            }
            RestoreError::Store(_) => failed(&error),
        }
    }
}

impl From<AgentError> for ApiError {
    fn from(error: AgentError) -> Self {
        match error {
            AgentError::BadRequest => Self::bad_request(error.to_string()),
            AgentError::Foreign => Self::new(StatusCode::FORBIDDEN, error.to_string()).code(ErrorCode::AdminOnly),
            AgentError::NotFound
            | AgentError::NoneToReplace
            | AgentError::NoneToRemove
            | AgentError::TargetNotFound
            | AgentError::NoneToMove => Self::not_found(error.to_string()),
            AgentError::Occupied | AgentError::TargetOccupied => Self::new(StatusCode::CONFLICT, error.to_string()),
            AgentError::Store(_) => failed(&error),
        }
    }
}

impl From<BudgetError> for ApiError {
    fn from(error: BudgetError) -> Self {
        match error {
            BudgetError::Missing | BudgetError::Negative | BudgetError::NoAmount => {
                Self::bad_request(error.to_string())
            }
            BudgetError::NotFound => Self::not_found(error.to_string()),
            BudgetError::Read(_) | BudgetError::Store(_) => failed(&error),
        }
    }
}

impl From<LogsError> for ApiError {
    fn from(error: LogsError) -> Self {
        match error {
            LogsError::NotFound => Self::not_found(error.to_string()),
            LogsError::External => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()).code(ErrorCode::ExternalWorkspace)
            }
            LogsError::Unsupported => {
                Self::new(StatusCode::NOT_IMPLEMENTED, error.to_string()).code(ErrorCode::Unsupported)
            }
            LogsError::Backend(_) => {
                tracing::warn!(%error, source = ?std::error::Error::source(&error), "backend gave no logs");
                Self::new(StatusCode::BAD_GATEWAY, error.to_string()).code(ErrorCode::BackendFailed)
            }
            LogsError::Store(_) => failed(&error),
        }
    }
}
