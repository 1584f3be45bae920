//! Phrases of visitors and agents, by language and topic, with placeholders.

mod eastern;
mod english;
mod european;
mod language;

use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};

use language::Exchange;
pub(super) use language::Language;

/// Topic of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    /// Parcels, invoices, refunds.
    Orders,
    /// Trains, flights, hotels.
    Travel,
    /// Exhibits and rooms.
    Museum,
    /// Passwords, printers, networks.
    Support,
    /// Kiosk in a shopping centre: one session for all visitors.
    Kiosk,
}

const TOPICS: [Topic; 5] =
    [Topic::Orders, Topic::Travel, Topic::Museum, Topic::Support, Topic::Kiosk];

/// Share of exchanges that are small talk.
const SMALL_TALK: f64 = 0.15;
/// Share of answers that end with a question.
const FOLLOW_UP: f64 = 0.25;

impl Language {
    /// Chooses a language by weight.
    pub(super) fn pick(rng: &mut StdRng) -> &'static Self {
        let all = [english::ALL, european::ALL, eastern::ALL];
        let languages: Vec<&Self> = all.into_iter().flatten().collect();
        languages
            .choose_weighted(rng, |language| language.weight)
            .map_or(&english::ALL[0], |language| *language)
    }

    /// Returns the exchanges of a visit: those on `topic` first, then those on other topics, so
    /// that a long conversation repeats itself late.
    pub(super) fn exchanges(&self, topic: Topic, rng: &mut StdRng) -> Vec<Exchange> {
        let mut exchanges = self.on(topic).to_vec();
        exchanges.shuffle(rng);
        let others = TOPICS.into_iter().filter(|other| *other != topic);
        let mut further: Vec<Exchange> = others.flat_map(|other| self.on(other)).copied().collect();
        further.shuffle(rng);
        exchanges.extend(further);
        exchanges
    }

    /// Returns `exchange` or small talk, with its placeholders filled.
    pub(super) fn fill(
        &self,
        exchange: Exchange,
        details: &mut Details,
        rng: &mut StdRng,
    ) -> (String, String) {
        details.draw(rng);
        let small_talk = rng.random_bool(SMALL_TALK);
        let (question, answer) = if small_talk { pick(self.small_talk, rng) } else { exchange };
        let mut answer = details.fill(answer);
        if rng.random_bool(FOLLOW_UP) {
            answer.push(' ');
            answer.push_str(&details.fill(pick(self.follow_ups, rng)));
        }
        (details.fill(question), answer)
    }

    /// Returns the last exchange of a conversation.
    pub(super) fn farewell(&self, details: &Details, rng: &mut StdRng) -> (String, String) {
        let (goodbye, answer) = pick(self.farewells, rng);
        (details.fill(goodbye), details.fill(answer))
    }

    fn on(&self, topic: Topic) -> &'static [Exchange] {
        match topic {
            Topic::Orders => self.orders,
            Topic::Travel => self.travel,
            Topic::Museum => self.museum,
            Topic::Support => self.support,
            Topic::Kiosk => self.kiosk,
        }
    }
}

/// Chooses one of `phrases`.
pub(super) fn pick<T: Copy + Default>(phrases: &[T], rng: &mut StdRng) -> T {
    phrases.choose(rng).copied().unwrap_or_default()
}

/// Values for placeholders.
#[derive(Debug)]
pub(super) struct Details {
    agent: &'static str,
    order: u32,
    number: u32,
    price_cents: u32,
    minute_of_day: u32,
}

impl Details {
    /// Draws values for one conversation. The order number stays, the others change with each
    /// question.
    pub(super) fn new(agent: &'static str, rng: &mut StdRng) -> Self {
        let order = rng.random_range(10_000..100_000);
        let mut details = Self { agent, order, number: 0, price_cents: 0, minute_of_day: 0 };
        details.draw(rng);
        details
    }

    fn draw(&mut self, rng: &mut StdRng) {
        self.number = rng.random_range(2..25);
        self.price_cents = rng.random_range(199..30_000);
        self.minute_of_day = rng.random_range(7 * 12..22 * 12) * 5;
    }

    /// Fills `{agent}`, `{order}`, `{number}`, `{price}` and `{time}` of a template.
    pub(super) fn fill(&self, template: &str) -> String {
        template
            .replace("{agent}", self.agent)
            .replace("{order}", &self.order.to_string())
            .replace("{number}", &self.number.to_string())
            .replace(
                "{price}",
                &format!("{}.{:02}", self.price_cents / 100, self.price_cents % 100),
            )
            .replace(
                "{time}",
                &format!("{}:{:02}", self.minute_of_day / 60, self.minute_of_day % 60),
            )
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn every_language_has_phrases_for_every_topic() {
        for language in [english::ALL, european::ALL, eastern::ALL].into_iter().flatten() {
            for topic in TOPICS {
                assert!(language.on(topic).len() >= 2, "{:?} {topic:?}", language.greetings);
            }
            for list in [language.greetings, language.follow_ups] {
                assert!(list.len() >= 2, "{list:?}");
            }
            assert!(!language.small_talk.is_empty() && !language.farewells.is_empty());
        }
    }

    #[test]
    fn every_placeholder_is_filled() {
        let mut rng = StdRng::seed_from_u64(1);
        let details = Details::new("Pip", &mut rng);
        for language in [english::ALL, european::ALL, eastern::ALL].into_iter().flatten() {
            let exchanges = [
                language.orders,
                language.travel,
                language.museum,
                language.support,
                language.kiosk,
                language.small_talk,
                language.farewells,
            ];
            let phrases =
                exchanges.into_iter().flatten().flat_map(|(question, answer)| [question, answer]);
            for phrase in phrases.chain(language.greetings).chain(language.follow_ups) {
                let filled = details.fill(phrase);
                assert!(!filled.is_empty() && !filled.contains(['{', '}']), "{filled}");
            }
        }
    }
}
