//! Which turn runs next. A machine without I/O: in the order of arrival, but one at a time within a conversation, and
//! only so many at once (D22, RUN-70).

use std::collections::{HashSet, VecDeque};

/// What waits, and which conversations are at work.
#[derive(Debug)]
pub(super) struct Schedule<T> {
    seats: usize,
    waiting: VecDeque<(String, T)>,
    busy: HashSet<String>,
}

impl<T> Schedule<T> {
    /// At most `seats` at once.
    pub(super) fn new(seats: usize) -> Self {
        Self {
            seats: seats.max(1),
            waiting: VecDeque::new(),
            busy: HashSet::new(),
        }
    }

    /// Puts something behind what waits already.
    pub(super) fn add(&mut self, conversation: &str, item: T) {
        self.waiting.push_back((conversation.to_owned(), item));
    }

    /// The first that may run now; its conversation is at work until [`Schedule::done`].
    pub(super) fn next(&mut self) -> Option<T> {
        if self.busy.len() >= self.seats {
            return None;
        }
        let first = self
            .waiting
            .iter()
            .position(|(conversation, _)| !self.busy.contains(conversation))?;
        let (conversation, item) = self.waiting.remove(first)?;
        self.busy.insert(conversation);
        Some(item)
    }

    /// A conversation is no longer at work.
    pub(super) fn done(&mut self, conversation: &str) {
        self.busy.remove(conversation);
    }

    /// Takes out what need not run any more.
    pub(super) fn remove(&mut self, unwanted: impl Fn(&T) -> bool) {
        self.waiting.retain(|(_, item)| !unwanted(item));
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(seats: usize, items: &[(&str, u32)]) -> Schedule<u32> {
        let mut schedule = Schedule::new(seats);
        for (conversation, item) in items {
            schedule.add(conversation, *item);
        }
        schedule
    }

    #[test]
    fn one_seat_is_the_order_of_arrival() {
        // RUN-70
        let mut schedule = schedule(1, &[("a", 1), ("b", 2), ("a", 3)]);
        let mut order = Vec::new();
        for conversation in ["a", "b", "a"] {
            order.extend(schedule.next());
            assert_eq!(schedule.next(), None, "the seat is taken");
            schedule.done(conversation);
        }
        assert_eq!(order, [1, 2, 3]);
    }

    #[test]
    fn a_conversation_is_serial_and_holds_up_no_other() {
        // D22
        let mut schedule = schedule(2, &[("a", 1), ("a", 2), ("b", 3), ("c", 4)]);
        assert_eq!((schedule.next(), schedule.next()), (Some(1), Some(3)));
        assert_eq!(schedule.next(), None);
        schedule.done("b");
        assert_eq!(schedule.next(), Some(4), "a is still at work");
        schedule.done("a");
        assert_eq!(schedule.next(), Some(2));
        assert_eq!(schedule.waiting(), 0);
    }

    #[test]
    fn what_is_taken_out_does_not_run() {
        let mut schedule = schedule(0, &[("a", 1), ("b", 2)]);
        schedule.remove(|item| *item == 1);
        assert_eq!(schedule.next(), Some(2), "there is always one seat");
    }
}
