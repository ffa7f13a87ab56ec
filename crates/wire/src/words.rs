//! Words of requests and answers that only the wire has: what a request may say beside a vocabulary's own words, and
//! where an answer comes from. They describe; what is read and written are texts.

use serde::{Deserialize, Serialize};
use utoipa::openapi::{
    Ref,
    schema::{AnyOfBuilder, Object, ObjectBuilder, Schema, SchemaType, Type},
};

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $word:ident = $text:tt,)+ })+) => { $(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
        pub enum $name {
            $($(#[$of])* #[serde(rename = $text)] $word,)+
        }

        impl $name {
            /// As it is spelled on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$word => $text,)+
                }
            }
        }
    )+ };
}

words! {
    /// How messages are to reach a workspace; the empty word is as none.
    AskedDeliveryMode {
        /// Not said.
        Unsaid = "",
        /// The platform posts to the agent's address.
        Push = "push",
        /// Messages wait until the agent asks.
        Poll = "poll",
    }
    /// What an agent is to be allowed in its mounted directory; the empty word is as none.
    AskedAccess {
        /// Not said.
        Unsaid = "",
        /// Not mounted.
        None = "none",
        /// Read only.
        ReadOnly = "read_only",
        /// Read and write.
        ReadWrite = "read_write",
    }
    /// Kinds of activity that a workspace may report.
    ReportedActivityType {
        /// It sent a message.
        A2aSend = "a2a_send",
        /// It got one.
        A2aReceive = "a2a_receive",
        /// A task went on.
        TaskUpdate = "task_update",
        /// Something for the log.
        AgentLog = "agent_log",
        /// A skill became part of it.
        SkillPromotion = "skill_promotion",
        /// It remembered something.
        MemoryWrite = "memory_write",
        /// Something failed.
        Error = "error",
    }
    /// Whose messages a feed is to show.
    ActivitySource {
        /// People's.
        Canvas = "canvas",
        /// Other workspaces'.
        Agent = "agent",
    }
    /// Where a setting comes from.
    SettingSource {
        /// Nobody set it.
        Default = "default",
        /// It is set for this workspace.
        WorkspaceSecrets = "workspace_secrets",
    }
    /// Whose secret it is.
    SecretScope {
        /// One workspace's.
        Workspace = "workspace",
        /// Everybody's.
        Global = "global",
    }
    /// Stable codes of errors, in `code` beside `error`. Clients may rely on them; texts are for people.
    ErrorCode {
        /// Only admins may change this field.
        AdminOnly = "admin_only",
        /// The backend that runs the workspace failed.
        BackendFailed = "backend_failed",
        /// The body did not arrive in time.
        BodyTooSlow = "body_too_slow",
        /// Something else happened to the workspace at the same time; look at it and ask again.
        ChangedMeanwhile = "changed_meanwhile",
        /// It is set in the server's configuration, and changed there.
        Configured = "configured",
        /// The server's disk is full.
        DiskFull = "disk_full",
        /// The workspace is external: the server does not run its agent.
        ExternalWorkspace = "external_workspace",
        /// Something failed in the server; its log says what.
        Internal = "internal",
        /// The login code is unknown, used or too old.
        InvalidCode = "invalid_code",
        /// The ticket is unknown, used, too old, or for something else.
        InvalidTicket = "invalid_ticket",
        /// The request asks for no WebSocket.
        NotAWebsocket = "not_a_websocket",
        /// This server does not have it, and will not.
        NotImplemented = "not_implemented",
        /// The agent could not be stopped.
        NotStopped = "not_stopped",
        /// The message could not be stored; nothing was sent.
        NotStored = "not_stored",
        /// The connection cannot become a WebSocket.
        NotUpgradable = "not_upgradable",
        /// Others are sending large bodies; come back.
        OutOfMemory = "out_of_memory",
        /// The token reaches only a part of the organisation, and this is outside of it.
        OutOfReach = "out_of_reach",
        /// The credential could not be looked up; it may well be good.
        PlatformUnavailable = "platform_unavailable",
        /// The token may change nothing.
        ReadOnly = "read_only",
        /// The body is longer than the route takes.
        TooLarge = "too_large",
        /// The credential holds as many sockets open as it may.
        TooManySockets = "too_many_sockets",
        /// The backend of this server cannot do it.
        Unsupported = "unsupported",
    }
    /// Methods of A2A: v0.2 and v0.3 have the names with a slash, v1.0 the others.
    A2aMethod {
        /// Send a message; the answer is a message or a task.
        Send = "message/send",
        /// Send a message; the answer is a stream of events.
        Stream = "message/stream",
        /// Read a task.
        GetTask = "tasks/get",
        /// List tasks.
        ListTasks = "tasks/list",
        /// Cancel a task.
        CancelTask = "tasks/cancel",
        /// Follow a task's events again.
        Resubscribe = "tasks/resubscribe",
        /// As `message/send`.
        SendMessage = "SendMessage",
        /// As `message/stream`.
        SendStreamingMessage = "SendStreamingMessage",
        /// As `tasks/get`.
        GetTaskV1 = "GetTask",
        /// As `tasks/list`.
        ListTasksV1 = "ListTasks",
        /// As `tasks/cancel`.
        CancelTaskV1 = "CancelTask",
        /// As `tasks/resubscribe`.
        SubscribeToTask = "SubscribeToTask",
    }
}

/// Any JSON but null, as agents' cards are taken.
pub(crate) fn agent_card() -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([
            Type::Object,
            Type::Array,
            Type::String,
            Type::Number,
            Type::Boolean,
        ]))
        .description(Some("The agent's card, kept verbatim; an object by the A2A standard."))
        .build()
}

/// A method of A2A, or one that only the agent knows.
pub(crate) fn any_method() -> Schema {
    AnyOfBuilder::new()
        .item(Ref::from_schema_name("A2aMethod"))
        .item(Object::with_type(Type::String))
        .description(Some("A method of A2A; another one is passed on as it is."))
        .into()
}

/// What a method gives: a message or a task, in v1.0 below a member of that name; a list of tasks.
pub(crate) fn result() -> Schema {
    AnyOfBuilder::new()
        .item(Ref::from_schema_name("A2aMessage"))
        .item(Ref::from_schema_name("A2aTask"))
        .item(Object::with_type(Type::Object))
        .description(Some(
            "A message or a task, in v1.0 below `message` or `task`; other methods have results of their own.",
        ))
        .into()
}
