//! Counts the steps of the scanners, so that a test can check that they are linear.

#[cfg(test)]
thread_local! {
    static STEPS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Adds steps. Does nothing outside tests.
#[inline]
pub(super) fn add(steps: usize) {
    #[cfg(test)]
    STEPS.with(|all| all.set(all.get() + steps));
    #[cfg(not(test))]
    let _ = steps;
}

/// Returns the number of steps of `work`.
#[cfg(test)]
pub(super) fn of(work: impl FnOnce()) -> usize {
    STEPS.with(|all| all.set(0));
    work();
    STEPS.with(std::cell::Cell::get)
}
