//! The recovery at boot, step by step.

use std::time::Instant;

use super::*;

impl World {
    pub(super) fn booting(&mut self, at: Instant) {
        self.boot = match self.boot.clone() {
            Boot::Booted => Boot::Booted,
            Boot::List => {
                if self.row.status == Hibernating {
                    self.stop_backend();
                    self.row.apply(Trigger::HibernateDone, None);
                }
                let wanted = WANTED.contains(&self.row.status);
                match (self.instances.is_empty(), wanted) {
                    (true, false) => Boot::Booted,
                    (true, true) => Boot::BringBack {
                        row: self.row.clone(),
                        ended: false,
                    },
                    (false, _) => Boot::TakeOver {
                        before: wanted.then_some(self.row.generation),
                    },
                }
            }
            Boot::TakeOver { before } => self.take_over(before),
            Boot::End(status, generation) => {
                if self.row.is(status, generation) {
                    self.stop_backend();
                }
                Boot::Booted
            }
            Boot::BringBack { row, ended } => {
                if self.start.is_none() && matches!(self.cycles, Cycles::Idle) {
                    self.bring_back(&row, ended, at);
                }
                Boot::Booted
            }
        };
    }

    fn take_over(&mut self, before: Option<Generation>) -> Boot {
        let in_use = self.start.is_some() || !matches!(self.cycles, Cycles::Idle);
        let now = WANTED.contains(&self.row.status).then_some(self.row.generation);
        if now.is_some() && (self.lock.is_some() || in_use || now != before) {
            return Boot::Booted;
        }
        if self.lock.is_some() {
            return Boot::End(self.row.status, self.row.generation);
        }
        let kept = self.row.status.is_alive() && self.instances.iter().any(|found| Some(found.generation) == now);
        if kept {
            return Boot::Booted;
        }
        self.stop_backend();
        match now {
            Some(_) => Boot::BringBack {
                row: self.row.clone(),
                ended: true,
            },
            None => Boot::Booted,
        }
    }

    fn bring_back(&mut self, row: &Row, ended: bool, at: Instant) {
        if row.status.is_alive() {
            if ended || self.instances.is_empty() {
                self.gone(row.generation, at);
            }
        } else if self.row.apply(Trigger::AutoRestart, Some(row.generation)) {
            self.begin_written(at);
        }
    }
}
