//! The worker of the slot: one cycle, step by step.

use super::*;

impl World {
    pub(super) fn may_work(&self) -> bool {
        match &self.work {
            Work::None => self.cycles.due().is_some(),
            Work::Cycle(_) => self.lock.is_none(),
            _ => true,
        }
    }

    fn cancelled(&self, generation: Generation) -> bool {
        self.start == Some((generation, true))
    }

    pub(super) fn work(&mut self, fails: bool) {
        self.work = match self.work.clone() {
            Work::None => self.cycles.begin().map_or(Work::None, Work::Cycle),
            Work::Cycle(cycle) => {
                self.lock = Some(Holder::Worker);
                Work::Locked(cycle)
            }
            Work::Locked(cycle) => match cycle.written {
                Some(generation) if self.row.generation != generation => Work::End,
                Some(generation) if self.row.status == Provisioning => Work::Stop(generation),
                _ => Work::Write(cycle),
            },
            Work::Write(cycle) => {
                if cycle.wake && self.row.status == Hibernating {
                    self.stop_backend();
                    self.row.apply(Trigger::HibernateDone, None);
                }
                let done = (cycle.wake && self.row.apply(Trigger::Wake, None))
                    || (cycle.restart && self.row.apply(Trigger::AutoRestart, None));
                if done {
                    Work::Stop(self.row.generation)
                } else {
                    Work::End
                }
            }
            Work::Stop(generation) => {
                self.stop_backend();
                Work::Begin(generation)
            }
            Work::Begin(generation) => {
                self.start = Some((generation, false));
                self.starting = true;
                match self.row.is(Provisioning, generation) {
                    true => Work::Mint(generation),
                    false => Work::End,
                }
            }
            Work::Mint(generation) | Work::Launch(generation) if self.cancelled(generation) => {
                self.stop_backend();
                Work::End
            }
            Work::Mint(generation) => {
                if self.row.status != Removed {
                    self.row.token = Some(generation);
                    Work::Launch(generation)
                } else {
                    self.row.apply(Trigger::StartFailed, Some(generation));
                    Work::End
                }
            }
            Work::Launch(generation) if fails => {
                self.row.apply(Trigger::StartFailed, Some(generation));
                Work::End
            }
            Work::Launch(generation) => {
                self.instances.push(Instance {
                    generation,
                    registered: false,
                });
                self.ran |= 1 << generation;
                Work::Settle(generation)
            }
            Work::Settle(generation) => Work::StillWanted(generation),
            Work::StillWanted(generation) => {
                let wanted =
                    self.row.generation == generation && matches!(self.row.status, Provisioning | Online | Degraded);
                if !wanted {
                    self.stop_backend();
                }
                Work::End
            }
            Work::End => {
                self.starting = false;
                self.lock = None;
                self.cycles.end();
                Work::None
            }
        };
    }
}
