//! Generation of conversations. The same seed and index generate the same conversation, except for
//! the time at which it ends.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use uuid::Uuid;

use super::agents::{AGENTS, Agent};
use super::phrases::{Details, Language, Topic, pick};

/// Conversation, complete before its first delivery is sent.
#[derive(Debug)]
pub(super) struct Conversation {
    pub(super) agent_id: &'static str,
    pub(super) session_id: Uuid,
    pub(super) room_name: String,
    pub(super) participant_count: u8,
    /// Events in order of time, each in a different microsecond.
    pub(super) lines: Vec<Line>,
}

/// Event of a conversation, with its time.
#[derive(Debug)]
pub(super) struct Line {
    /// Time in microseconds since 1970.
    pub(super) at_micros: i64,
    /// Nanoseconds after `at_micros`, below 1,000: contract D has them, too.
    pub(super) nanos: i64,
    pub(super) event: Event,
}

/// Event of a conversation.
#[derive(Debug)]
pub(super) enum Event {
    Join,
    Message { role: &'static str, message: String },
}

/// Share of sessions that restart during a conversation: with a new ID, and no `room.join`.
const RESTARTED: f64 = 0.04;
/// Share of answers that the visitor interrupts, and that are cut off there.
const INTERRUPTED: f64 = 0.06;

impl Conversation {
    /// Generates conversation number `index` of a run. Its last event is at `ends_at_micros`.
    pub(super) fn new(seed: u64, index: u64, ends_at_micros: i64) -> Self {
        let mut rng = rng_of(seed, index);
        let agent = AGENTS.choose(&mut rng).unwrap_or(&AGENTS[0]);
        let mut draft = Draft::new(agent, rng, 0);
        draft.generate();
        let mut conversation = draft.finish();
        let shift = ends_at_micros - conversation.lines.last().map_or(0, |line| line.at_micros);
        for line in &mut conversation.lines {
            line.at_micros += shift;
        }
        conversation
    }
}

/// Returns the random number generator of a conversation. Each has a separate one, so that the
/// order of generation does not matter.
pub(super) fn rng_of(seed: u64, index: u64) -> StdRng {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&index.to_le_bytes());
    StdRng::from_seed(bytes)
}

/// Generates a name such as `room-A80HVD8577-qtrJ-cOFR`.
pub(super) fn room_name(agent_id: &str, rng: &mut StdRng) -> String {
    let mut part = || -> String {
        (0..4).map(|_| char::from(rng.sample(rand::distr::Alphanumeric))).collect()
    };
    format!("room-{agent_id}-{}-{}", part(), part())
}

/// Unfinished conversation.
pub(super) struct Draft {
    pub(super) agent: &'static Agent,
    pub(super) rng: StdRng,
    pub(super) now_micros: i64,
    session_id: Uuid,
    pub(super) room_name: String,
    participant_count: u8,
    lines: Vec<Line>,
}

impl Draft {
    /// Starts a conversation at `now_micros`.
    pub(super) fn new(agent: &'static Agent, mut rng: StdRng, now_micros: i64) -> Self {
        let session_id = uuid::Builder::from_random_bytes(rng.random()).into_uuid();
        let room_name = room_name(agent.id, &mut rng);
        let participant_count = rng.random_range(1..=3);
        Self { agent, rng, now_micros, session_id, room_name, participant_count, lines: Vec::new() }
    }

    /// Returns the conversation.
    pub(super) fn finish(self) -> Conversation {
        Conversation {
            agent_id: self.agent.id,
            session_id: self.session_id,
            room_name: self.room_name,
            participant_count: self.participant_count,
            lines: self.lines,
        }
    }

    fn generate(&mut self) {
        let restarted = self.rng.random_bool(RESTARTED);
        if !restarted {
            self.add(Event::Join);
        }
        // A kiosk has one session for several visitors, other agents have one per visitor.
        let visitors =
            if self.agent.topic == Topic::Kiosk { self.rng.random_range(1..=4) } else { 1 };
        for visitor in 0..visitors {
            if visitor > 0 {
                self.pause(20.0..400.0);
            }
            let length = self.length();
            self.visit(!restarted, length);
        }
    }

    /// Adds a visit with this number of questions, and in most cases a farewell.
    pub(super) fn visit(&mut self, greets: bool, questions: usize) {
        let language = Language::pick(&mut self.rng);
        let mut details = Details::new(self.agent.name, &mut self.rng);
        if greets {
            self.greet(language, &details);
        }
        let exchanges = language.exchanges(self.agent.topic, &mut self.rng);
        for exchange in exchanges.iter().cycle().take(questions) {
            let (question, answer) = language.fill(*exchange, &mut details, &mut self.rng);
            self.add_message("user", question, language);
            let answer = self.interrupt(answer);
            self.add_message("assistant", answer, language);
        }
        if questions > 1 && self.rng.random_bool(0.6) {
            let (goodbye, answer) = language.farewell(&details, &mut self.rng);
            self.add_message("user", goodbye, language);
            self.add_message("assistant", answer, language);
        }
    }

    /// Adds a greeting without an answer.
    pub(super) fn add_greeting(&mut self) {
        let language = Language::pick(&mut self.rng);
        let details = Details::new(self.agent.name, &mut self.rng);
        self.greet(language, &details);
    }

    /// Adds a visit of one question, with or without its answer.
    pub(super) fn visit_once(&mut self, answered: bool) {
        self.visit(true, 1);
        if !answered {
            self.lines.pop();
        }
    }

    fn greet(&mut self, language: &Language, details: &Details) {
        let greeting = details.fill(pick(language.greetings, &mut self.rng));
        self.add_message("assistant", greeting, language);
    }

    /// Draws the number of questions of a visit: usually a few, sometimes many.
    pub(super) fn length(&mut self) -> usize {
        match self.rng.random_range(0..100) {
            0..50 => self.rng.random_range(1..=3),
            50..88 => self.rng.random_range(3..=9),
            _ => self.rng.random_range(9..=25),
        }
    }

    fn interrupt(&mut self, mut answer: String) -> String {
        if self.rng.random_bool(INTERRUPTED) {
            let spoken = answer.chars().count() * self.rng.random_range(30..90) / 100;
            if let Some((end, _)) = answer.char_indices().nth(spoken.max(1)) {
                answer.truncate(end);
            }
        }
        answer
    }

    /// Adds a message at the time at which it is finished: after a pause, and the time to type or
    /// speak it.
    fn add_message(&mut self, role: &'static str, message: String, language: &Language) {
        let (median, spread, pace) = match role {
            "user" => (3.0, 0.7, 0.5),
            _ => (self.agent.reply_seconds, 0.5, 1.0),
        };
        let characters = u32::try_from(message.chars().count()).unwrap_or(u32::MAX);
        let seconds = f64::from(characters) / (language.chars_per_second * pace);
        self.wait(median, spread);
        self.pause(seconds * 0.8..seconds * 1.2);
        self.add(Event::Message { role, message });
    }

    /// Advances by a time from a log-normal distribution, like that of people and services.
    pub(super) fn wait(&mut self, median_seconds: f64, spread: f64) {
        // Box–Muller transform; 1 − x, since 0 has no logarithm.
        let radius = (-2.0 * (1.0 - self.rng.random::<f64>()).ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * self.rng.random::<f64>()).cos();
        self.advance(median_seconds * (spread * normal).exp());
    }

    fn pause(&mut self, seconds: std::ops::Range<f64>) {
        let seconds = self.rng.random_range(seconds);
        self.advance(seconds);
    }

    #[expect(clippy::cast_possible_truncation, reason = "hours, in microseconds")]
    fn advance(&mut self, seconds: f64) {
        self.now_micros += ((seconds * 1e6) as i64).max(1);
    }

    pub(super) fn add(&mut self, event: Event) {
        let nanos = self.rng.random_range(0..1_000);
        self.lines.push(Line { at_micros: self.now_micros, nanos, event });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const NOW: i64 = 1_790_607_253_557_594;

    fn all(seed: u64) -> Vec<Conversation> {
        (0..400).map(|index| Conversation::new(seed, index, NOW)).collect()
    }

    #[test]
    fn same_seed_generates_the_same_conversations() {
        assert_eq!(format!("{:?}", all(7)), format!("{:?}", all(7)));
        assert_ne!(format!("{:?}", all(7)), format!("{:?}", all(8)));
    }

    #[test]
    fn times_ascend_and_end_at_the_given_moment() {
        for conversation in all(1) {
            let times: Vec<i64> = conversation.lines.iter().map(|line| line.at_micros).collect();
            assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
            assert_eq!(times.last(), Some(&NOW));
        }
    }

    #[test]
    fn conversations_differ_as_real_ones_do() {
        let all = all(3);
        let ids: HashSet<_> = all.iter().map(|conversation| conversation.session_id).collect();
        assert_eq!(ids.len(), all.len());
        let agents: HashSet<_> = all.iter().map(|conversation| conversation.agent_id).collect();
        assert_eq!(agents.len(), AGENTS.len());
        let joined = all.iter().filter(|c| matches!(c.lines[0].event, Event::Join)).count();
        assert!((360..400).contains(&joined), "{joined} of 400 begin with a room.join");
        let lengths: Vec<usize> = all.iter().map(|c| c.lines.len()).collect();
        assert!(lengths.iter().any(|&n| n <= 5) && lengths.iter().any(|&n| n >= 30));
    }

    #[test]
    fn every_script_is_used() {
        let text: String = all(5)
            .into_iter()
            .flat_map(|conversation| conversation.lines)
            .filter_map(|line| match line.event {
                Event::Message { message, .. } => Some(message),
                Event::Join => None,
            })
            .collect();
        for sample in ['a', 'ß', 'ñ', 'ç', 'я', 'の', '的', '다', 'ا', 'ह', '👋'] {
            assert!(text.contains(sample), "{sample}");
        }
    }
}
