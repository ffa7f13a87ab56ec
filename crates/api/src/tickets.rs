//! Single-use tickets for what cannot carry a bearer: sockets and downloads of browsers (D2). A ticket opens exactly what
//! it was bought for.

use molecule_core::{WorkspaceId, limits};
use molecule_platform::credentials::OneTimeCodes;
use molecule_wire::auth::{BuyTicket, TicketPurpose};
use secrecy::SecretString;

/// What a ticket stands for.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    /// The bearer it was bought with, so that what it opened ends with that credential; `None` in open mode, where none
    /// is needed.
    pub(crate) bearer: Option<SecretString>,
    /// What it opens.
    pub(crate) what: BuyTicket,
}

impl Grant {
    /// Does the ticket open a route that takes tickets for `purpose`, asked about `subject`?
    pub(crate) fn opens(&self, purpose: TicketPurpose, subject: Option<WorkspaceId>) -> bool {
        self.what.purpose == purpose
            && match purpose {
                // It narrows what is seen; the path names nobody.
                TicketPurpose::Events => true,
                TicketPurpose::Logs => subject.is_some() && self.what.workspace_id == subject,
            }
    }
}

/// Tickets that have been issued.
pub(crate) fn tickets() -> OneTimeCodes<Grant> {
    OneTimeCodes::new(limits::TICKET_TTL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_opens_what_it_was_bought_for() {
        // D2
        let grant = |purpose, workspace_id| Grant {
            bearer: None,
            what: BuyTicket { purpose, workspace_id },
        };
        let (one, two) = (Some(WorkspaceId::random()), Some(WorkspaceId::random()));
        assert!(grant(TicketPurpose::Events, None).opens(TicketPurpose::Events, None));
        assert!(grant(TicketPurpose::Events, one).opens(TicketPurpose::Events, None));
        assert!(!grant(TicketPurpose::Events, one).opens(TicketPurpose::Logs, one));
        assert!(grant(TicketPurpose::Logs, one).opens(TicketPurpose::Logs, one));
        assert!(!grant(TicketPurpose::Logs, one).opens(TicketPurpose::Logs, two));
        assert!(!grant(TicketPurpose::Logs, None).opens(TicketPurpose::Logs, None));
        assert!(!grant(TicketPurpose::Logs, one).opens(TicketPurpose::Events, None));
    }
}
