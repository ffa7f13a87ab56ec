//! How many sockets are open, and whose. Each costs memory and a turn of every event, so that nobody may open them
//! without end (D10).

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use parking_lot::Mutex;

use super::Holder;

/// Counts open sockets by holder.
#[derive(Debug)]
pub(crate) struct Seats {
    limit: u32,
    taken: Mutex<HashMap<Holder, u32>>,
}

impl Seats {
    /// `limit` sockets per holder; 0 is no limit.
    pub(crate) fn new(limit: u32) -> Arc<Self> {
        Arc::new(Self {
            limit,
            taken: Mutex::default(),
        })
    }

    /// Takes a seat until it is dropped; `None` if the holder has all of theirs.
    pub(crate) fn take(self: &Arc<Self>, holder: Holder) -> Option<Seat> {
        let mut taken = self.taken.lock();
        let count = taken.entry(holder).or_insert(0);
        if self.limit > 0 && *count >= self.limit {
            return None;
        }
        *count += 1;
        Some(Seat {
            seats: self.clone(),
            holder,
        })
    }
}

/// One open socket of a holder.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Arc<Seats>,
    holder: Holder,
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Entry::Occupied(mut count) = self.seats.taken.lock().entry(self.holder) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_counted_and_given_back() {
        // D10
        let seats = Seats::new(2);
        let (a, b) = (Holder::Admin(1), Holder::Address(None));
        let first = seats.take(a).unwrap();
        let _second = seats.take(a).unwrap();
        assert!(seats.take(a).is_none());
        let other = seats.take(b).unwrap();
        drop(first);
        let _third = seats.take(a).unwrap();
        assert!(seats.take(a).is_none());
        drop(other);
        assert_eq!(seats.taken.lock().len(), 1, "who has none leaves nothing behind");
        let unlimited = Seats::new(0);
        let held: Vec<_> = (0..100).map(|_| unlimited.take(a).unwrap()).collect();
        assert_eq!(held.len(), 100);
    }
}
