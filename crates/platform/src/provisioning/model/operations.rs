//! What somebody asks for, step by step.

use std::time::Instant;

use super::*;

impl World {
    pub(super) fn operate(&mut self, n: usize, at: Instant) {
        self.operations[n] = match self.operations[n] {
            At::NotBegun(wish) => self.begin(wish, at),
            At::Written(generation) => {
                self.cancel(generation - 1);
                self.cycles.request(Cycle::written(generation, at));
                At::Done
            }
            At::Ending(status, generation) => {
                self.cancel(generation);
                self.lock = Some(Holder::Operation(n));
                At::EndingLocked(status, generation)
            }
            At::EndingLocked(status, generation) => {
                if self.row.is(status, generation) {
                    self.stop_backend();
                }
                self.lock = None;
                At::Done
            }
            At::Dozing => {
                self.lock = Some(Holder::Operation(n));
                match self.row.apply(Trigger::HibernateClaimed, None) {
                    true => At::Asleep(self.row.generation),
                    false => {
                        self.lock = None;
                        At::Done
                    }
                }
            }
            At::Asleep(generation) => {
                self.stop_backend();
                self.row.apply(Trigger::HibernateDone, Some(generation));
                self.lock = None;
                At::Done
            }
            At::Retiring => {
                self.cycles.withdraw();
                self.cancel(Generation::MAX);
                self.lock = Some(Holder::Operation(n));
                At::RetiringLocked
            }
            At::RetiringLocked => {
                self.stop_backend();
                self.lock = None;
                At::Done
            }
            At::Done => At::Done,
        };
    }

    fn begin(&mut self, wish: Wish, at: Instant) -> At {
        let written = |row: &Row, done: bool| if done { At::Written(row.generation) } else { At::Done };
        match wish {
            Wish::Restart => {
                let done = self.row.apply(Trigger::ManualRestart, None);
                written(&self.row, done)
            }
            Wish::Resume => {
                let done = self.row.apply(Trigger::Resume, None);
                written(&self.row, done)
            }
            Wish::Wake => {
                if self.row.apply(Trigger::Wake, None) {
                    return At::Written(self.row.generation);
                }
                if self.row.status == Hibernating {
                    self.cycles.request(Cycle {
                        restart: false,
                        wake: true,
                        ..Cycle::asked(at)
                    });
                }
                At::Done
            }
            Wish::Settings => {
                self.cycles.request(Cycle::asked(at));
                At::Done
            }
            Wish::Pause => match self.row.apply(Trigger::Pause, None) {
                true => At::Ending(Paused, self.row.generation),
                false => At::Done,
            },
            Wish::Hibernate => At::Dozing,
            Wish::Delete => match self.row.apply(Trigger::Delete, None) {
                true => At::Retiring,
                false => At::Done,
            },
        }
    }

    /// An operation that waits for the slot cannot go on while somebody has it.
    pub(super) fn may_operate(&self, n: usize) -> bool {
        match self.operations[n] {
            At::Done => false,
            At::Ending(..) | At::Dozing | At::Retiring => self.lock.is_none(),
            _ => true,
        }
    }
}
