//! All scenarios, a line each.
//!
//! A scenario is an `async fn(&Trial) -> anyhow::Result<()>`: it asks the trial for a world
//! ([`Trial::world`]), puts load on it ([`World::load`](crate::world::World::load)), does its
//! worst, puts things right, and ends with [`World::finish`](crate::world::World::finish), which
//! waits for the drain and asks the oracle. It says what it does with `World::fault`, and returns
//! [`skip`](crate::world::skip) where this machine cannot run it. Random numbers come from
//! [`Trial::rng`], so that a seed repeats them.

mod service;

use std::pin::Pin;

use super::world::Trial;

type Outcome<'a> = Pin<Box<dyn Future<Output = anyhow::Result<()>> + 'a>>;

/// A scenario by its name.
#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// Part of the short form.
    pub(crate) quick: bool,
    pub(crate) run: for<'a> fn(&'a Trial) -> Outcome<'a>,
}

/// `scenario!(name, what it does, function)`.
macro_rules! scenario {
    ($name:literal, $about:literal, $function:path) => {
        Scenario {
            name: $name,
            about: $about,
            quick: false,
            run: |trial| Box::pin($function(trial)),
        }
    };
}

/// In the order in which they run.
pub(crate) const ALL: &[Scenario] =
    &[scenario!("kill", "kill -9 of the service, again and again", service::kill).quick()];

impl Scenario {
    /// It is part of the short form, too: it takes a few seconds and needs nothing of the machine.
    const fn quick(self) -> Self {
        Self { quick: true, ..self }
    }
}
