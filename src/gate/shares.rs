//! A limited amount, such as bytes of memory or seats, that many owners take from: no owner can
//! take all of it.
//!
//! An owner may hold as much as is left for the others. One owner alone therefore gets half, two
//! that take all they can get a third each, and whoever comes next finds something in any case.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// The amount, and who holds how much of it. Cheap to clone.
#[derive(Debug)]
pub struct Shares<O>(Arc<Inner<O>>);

#[derive(Debug)]
struct Inner<O> {
    total: usize,
    held: Mutex<Held<O>>,
    freed: Notify,
}

#[derive(Debug)]
struct Held<O> {
    all: usize,
    by_owner: HashMap<O, usize>,
}

/// What one owner holds, returned when this is dropped.
#[derive(Debug)]
pub struct Share<O: Clone + Eq + Hash> {
    shares: Shares<O>,
    owner: O,
    amount: usize,
}

/// Why an amount is not granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Short {
    /// The owner holds as much as one owner may at this moment.
    #[error("the owner holds its share already")]
    Own,
    /// Others hold it.
    #[error("others hold all of it")]
    All,
}

impl<O> Clone for Shares<O> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<O: Clone + Eq + Hash> Shares<O> {
    /// An amount of which nothing is held.
    #[must_use]
    pub fn new(total: usize) -> Self {
        let held = Mutex::new(Held { all: 0, by_owner: HashMap::new() });
        Self(Arc::new(Inner { total, held, freed: Notify::new() }))
    }

    /// Takes an amount, where the owner may have it now.
    pub fn take(&self, owner: O, amount: usize) -> Result<Share<O>, Short> {
        let mut share = Share { shares: self.clone(), owner, amount: 0 };
        share.grow(amount)?;
        Ok(share)
    }

    /// The whole amount.
    #[must_use]
    pub fn total(&self) -> usize {
        self.0.total
    }

    /// What all owners hold.
    #[must_use]
    pub fn held(&self) -> usize {
        self.lock().all
    }

    /// Resolves when something is returned after this call.
    pub fn freed(&self) -> Notified<'_> {
        self.0.freed.notified()
    }

    /// No code of others runs under the lock, so a poisoned one is whole.
    fn lock(&self) -> MutexGuard<'_, Held<O>> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<O: Eq + Hash> Held<O> {
    fn may_have(&self, owner: &O, more: usize, total: usize) -> Result<(), Short> {
        let free = total.saturating_sub(self.all);
        let own = self.by_owner.get(owner).copied().unwrap_or(0);
        match free.checked_sub(more) {
            // An owner that holds nothing gets whatever fits.
            Some(rest) if own == 0 || own + more <= rest => Ok(()),
            None if own <= free => Err(Short::All),
            _ => Err(Short::Own),
        }
    }
}

impl<O: Clone + Eq + Hash> Share<O> {
    /// How much it is.
    #[must_use]
    pub fn amount(&self) -> usize {
        self.amount
    }

    /// Takes more, where the owner may have it now.
    pub fn grow(&mut self, more: usize) -> Result<(), Short> {
        if more == 0 {
            return Ok(());
        }
        let mut held = self.shares.lock();
        held.may_have(&self.owner, more, self.shares.0.total)?;
        held.all += more;
        *held.by_owner.entry(self.owner.clone()).or_default() += more;
        drop(held);
        self.amount += more;
        Ok(())
    }

    /// Makes it as large as what is held in fact. More than there is can be held so: whoever has
    /// begun must be able to go on, and nobody begins until there is room again.
    pub fn set(&mut self, amount: usize) {
        if amount == self.amount {
            return;
        }
        let mut held = self.shares.lock();
        held.all = held.all - self.amount + amount;
        let own = held.by_owner.entry(self.owner.clone()).or_default();
        *own = *own - self.amount + amount;
        if *own == 0 {
            held.by_owner.remove(&self.owner);
        }
        drop(held);
        let less = amount < self.amount;
        self.amount = amount;
        if less {
            self.shares.0.freed.notify_waiters();
        }
    }
}

impl<O: Clone + Eq + Hash> Drop for Share<O> {
    fn drop(&mut self) {
        if self.amount > 0 {
            self.set(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_owner_gets_half_and_the_next_still_finds_something() {
        let shares = Shares::new(120);
        let hold = |owner: &'static str| {
            let held: Vec<_> = std::iter::from_fn(|| shares.take(owner, 1).ok()).collect();
            held
        };
        let first = hold("a");
        assert_eq!((first.len(), shares.take("a", 1).unwrap_err()), (60, Short::Own));
        let second = hold("b");
        assert_eq!(second.len(), 30);
        let third = hold("c");
        assert_eq!(third.len(), 15);
        drop(first);
        assert_eq!(hold("c").len() + third.len(), 45, "it may have as much as is left");
        drop((second, third));
        assert_eq!(shares.held(), 0);
    }

    #[test]
    fn an_owner_that_holds_nothing_gets_whatever_fits() {
        let shares = Shares::new(100);
        let large = shares.take("a", 90).unwrap();
        assert_eq!(shares.take("a", 1).unwrap_err(), Short::Own);
        assert_eq!(shares.take("b", 11).unwrap_err(), Short::All);
        let small = shares.take("b", 10).unwrap();
        assert_eq!(shares.take("c", 1).unwrap_err(), Short::All);
        drop((large, small));
        assert!(shares.take("c", 100).is_ok());
    }

    #[test]
    fn what_is_held_beyond_the_total_keeps_others_out_until_it_is_returned() {
        let shares = Shares::new(10);
        let mut share = shares.take("a", 4).unwrap();
        share.set(25);
        assert_eq!(shares.take("b", 1).unwrap_err(), Short::All);
        assert_eq!(share.grow(1).unwrap_err(), Short::Own);
        assert!(share.grow(0).is_ok(), "nothing is always to be had");
        share.set(3);
        assert!(share.grow(2).is_ok());
        assert_eq!((share.amount(), shares.held()), (5, 5));
    }

    #[tokio::test]
    async fn whoever_waits_is_woken_when_something_is_returned() {
        let shares = Shares::new(1);
        let share = shares.take("a", 1).unwrap();
        let freed = shares.freed();
        drop(share);
        freed.await;
    }

    proptest! {
        #[test]
        fn what_is_taken_is_returned_and_never_exceeds_the_total(
            steps in prop::collection::vec((0_u8..5, 0_usize..40, any::<bool>()), 0..200),
        ) {
            let shares = Shares::new(100);
            let mut held = Vec::new();
            for (owner, amount, returns) in steps {
                if returns && !held.is_empty() {
                    held.swap_remove(amount % held.len());
                } else {
                    held.extend(shares.take(owner, amount));
                }
                let sum: usize = held.iter().map(Share::amount).sum();
                prop_assert_eq!(shares.held(), sum);
                prop_assert!(sum <= 100);
            }
            drop(held);
            prop_assert_eq!(shares.held(), 0);
            prop_assert!(shares.lock().by_owner.is_empty());
        }
    }
}
