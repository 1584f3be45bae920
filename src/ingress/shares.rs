//! Fair shares of a limited amount, such as bytes of memory or seats: no owner can take all of it.
//!
//! An owner may hold at most as much as is left for the others. So a single owner gets half, two
//! that grow together get a third each, and something is always left for the next.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// Limited amount, and the part that each owner holds. Cheap to clone.
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

/// Part of the amount that is held for an owner, returned when this is dropped.
#[derive(Debug)]
pub struct Share<O: Clone + Eq + Hash> {
    shares: Shares<O>,
    owner: O,
    amount: usize,
}

/// Reason why an amount is not granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Short {
    /// The owner would hold more than is left for the others.
    #[error("the owner holds its share already")]
    Own,
    /// Other owners hold too much.
    #[error("others hold all of it")]
    All,
}

impl<O> Clone for Shares<O> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<O: Clone + Eq + Hash> Shares<O> {
    /// Creates an amount of `total`, all of it free.
    #[must_use]
    pub fn new(total: usize) -> Self {
        let held = Mutex::new(Held { all: 0, by_owner: HashMap::new() });
        Self(Arc::new(Inner { total, held, freed: Notify::new() }))
    }

    /// Takes an amount for an owner.
    pub fn take(&self, owner: O, amount: usize) -> Result<Share<O>, Short> {
        let mut share = Share { shares: self.clone(), owner, amount: 0 };
        share.grow(amount)?;
        Ok(share)
    }

    /// Returns the total amount.
    #[must_use]
    pub fn total(&self) -> usize {
        self.0.total
    }

    /// Returns the amount that all owners hold.
    #[must_use]
    pub fn held(&self) -> usize {
        self.lock().all
    }

    /// Resolves when a part is returned after this call.
    pub fn freed(&self) -> Notified<'_> {
        self.0.freed.notified()
    }

    /// Locks the state. No caller's code runs under the lock, so a poisoned one is consistent.
    fn lock(&self) -> MutexGuard<'_, Held<O>> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<O: Eq + Hash> Held<O> {
    fn may_have(&self, owner: &O, more: usize, total: usize) -> Result<(), Short> {
        let free = total.saturating_sub(self.all);
        let own = self.by_owner.get(owner).copied().unwrap_or(0);
        match free.checked_sub(more) {
            // An owner that holds nothing gets any amount that fits.
            Some(rest) if own == 0 || own + more <= rest => Ok(()),
            None if own <= free => Err(Short::All),
            _ => Err(Short::Own),
        }
    }
}

impl<O: Clone + Eq + Hash> Share<O> {
    /// Returns the amount held.
    #[must_use]
    pub fn amount(&self) -> usize {
        self.amount
    }

    /// Takes a further amount for the owner.
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

    /// Sets the amount to the one in actual use, which may exceed the total: running work must be
    /// able to continue, and no new work begins until enough is returned.
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
    fn owner_gets_half_and_the_next_half_of_the_rest() {
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
        assert_eq!(hold("c").len() + third.len(), 45, "it may hold as much as is left");
        drop((second, third));
        assert_eq!(shares.held(), 0);
    }

    #[test]
    fn owner_without_a_share_gets_any_amount_that_fits() {
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
    fn amount_above_the_total_blocks_others_until_it_is_returned() {
        let shares = Shares::new(10);
        let mut share = shares.take("a", 4).unwrap();
        share.set(25);
        assert_eq!(shares.take("b", 1).unwrap_err(), Short::All);
        assert_eq!(share.grow(1).unwrap_err(), Short::Own);
        assert!(share.grow(0).is_ok(), "zero is always granted");
        share.set(3);
        assert!(share.grow(2).is_ok());
        assert_eq!((share.amount(), shares.held()), (5, 5));
    }

    #[tokio::test]
    async fn returned_share_wakes_waiters() {
        let shares = Shares::new(1);
        let share = shares.take("a", 1).unwrap();
        let freed = shares.freed();
        drop(share);
        freed.await;
    }

    proptest! {
        #[test]
        fn shares_are_returned_and_never_exceed_the_total(
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
