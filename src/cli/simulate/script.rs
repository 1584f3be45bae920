//! Conversations: who says what, and when. The same seed and index give the same conversation,
//! apart from the moment at which it ends.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use uuid::Uuid;

use super::agents::{AGENTS, Agent};
use super::phrases::{Details, Language, Topic, pick};

/// One conversation, told in full before its first delivery is sent.
#[derive(Debug)]
pub(super) struct Conversation {
    pub(super) agent_id: &'static str,
    pub(super) session_id: Uuid,
    pub(super) room_name: String,
    pub(super) participant_count: u8,
    /// In order of time, none at the same microsecond as another.
    pub(super) lines: Vec<Line>,
}

/// One event of it.
#[derive(Debug)]
pub(super) struct Line {
    /// When it happened, in microseconds since 1970.
    pub(super) at_micros: i64,
    /// Nanoseconds beyond `at_micros`, below 1,000: the newest sender writes them too.
    pub(super) nanos: i64,
    pub(super) event: Event,
}

/// What happened.
#[derive(Debug)]
pub(super) enum Event {
    Join,
    Said { role: &'static str, message: String },
}

/// A session that restarts in mid-conversation gets a new id and no new `room.join`.
const RESTARTED: f64 = 0.04;
/// A reply that the visitor interrupts arrives as far as it got.
const INTERRUPTED: f64 = 0.06;

impl Conversation {
    /// Conversation number `index` of a run, whose last event is at `ends_at_micros`.
    pub(super) fn new(seed: u64, index: u64, ends_at_micros: i64) -> Self {
        let mut rng = rng_of(seed, index);
        let agent = AGENTS.choose(&mut rng).unwrap_or(&AGENTS[0]);
        let mut telling = Telling::new(agent, rng, 0);
        telling.tell();
        let mut conversation = telling.end();
        let shift = ends_at_micros - conversation.lines.last().map_or(0, |line| line.at_micros);
        for line in &mut conversation.lines {
            line.at_micros += shift;
        }
        conversation
    }
}

/// Each conversation has a generator of its own, so that the order in which they are played
/// changes none of them.
pub(super) fn rng_of(seed: u64, index: u64) -> StdRng {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&index.to_le_bytes());
    StdRng::from_seed(bytes)
}

/// Such as `room-A80HVD8577-qtrJ-cOFR`.
pub(super) fn room_name(agent_id: &str, rng: &mut StdRng) -> String {
    let mut part = || -> String {
        (0..4).map(|_| char::from(rng.sample(rand::distr::Alphanumeric))).collect()
    };
    format!("room-{agent_id}-{}-{}", part(), part())
}

/// A conversation while it is being made.
pub(super) struct Telling {
    pub(super) agent: &'static Agent,
    pub(super) rng: StdRng,
    pub(super) now_micros: i64,
    session_id: Uuid,
    pub(super) room_name: String,
    participant_count: u8,
    lines: Vec<Line>,
}

impl Telling {
    /// Begins a conversation at `now_micros`.
    pub(super) fn new(agent: &'static Agent, mut rng: StdRng, now_micros: i64) -> Self {
        let session_id = uuid::Builder::from_random_bytes(rng.random()).into_uuid();
        let room_name = room_name(agent.id, &mut rng);
        let participant_count = rng.random_range(1..=3);
        Self { agent, rng, now_micros, session_id, room_name, participant_count, lines: Vec::new() }
    }

    /// Returns the conversation.
    pub(super) fn end(self) -> Conversation {
        Conversation {
            agent_id: self.agent.id,
            session_id: self.session_id,
            room_name: self.room_name,
            participant_count: self.participant_count,
            lines: self.lines,
        }
    }

    fn tell(&mut self) {
        let restarted = self.rng.random_bool(RESTARTED);
        if !restarted {
            self.add(Event::Join);
        }
        // A kiosk keeps one session for every visitor; anybody else comes alone.
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
        let asked = language.questions(self.agent.topic, &mut self.rng);
        for exchange in asked.iter().cycle().take(questions) {
            let (question, answer) = language.say(*exchange, &mut details, &mut self.rng);
            self.say("user", question, language);
            let answer = self.interrupted(answer);
            self.say("assistant", answer, language);
        }
        if questions > 1 && self.rng.random_bool(0.6) {
            let (goodbye, answer) = language.farewell(&details, &mut self.rng);
            self.say("user", goodbye, language);
            self.say("assistant", answer, language);
        }
    }

    /// Adds a greeting that nobody answers.
    pub(super) fn greet_nobody(&mut self) {
        let language = Language::pick(&mut self.rng);
        let details = Details::new(self.agent.name, &mut self.rng);
        self.greet(language, &details);
    }

    /// Adds one question; the visitor leaves after the answer, or before it.
    pub(super) fn ask_once(&mut self, answered: bool) {
        self.visit(true, 1);
        if !answered {
            self.lines.pop();
        }
    }

    fn greet(&mut self, language: &Language, details: &Details) {
        let greeting = details.fill(pick(language.greetings, &mut self.rng));
        self.say("assistant", greeting, language);
    }

    /// How many questions somebody asks: mostly a few, sometimes very many.
    pub(super) fn length(&mut self) -> usize {
        match self.rng.random_range(0..100) {
            0..50 => self.rng.random_range(1..=3),
            50..88 => self.rng.random_range(3..=9),
            _ => self.rng.random_range(9..=25),
        }
    }

    fn interrupted(&mut self, mut answer: String) -> String {
        if self.rng.random_bool(INTERRUPTED) {
            let heard = answer.chars().count() * self.rng.random_range(30..90) / 100;
            if let Some((end, _)) = answer.char_indices().nth(heard.max(1)) {
                answer.truncate(end);
            }
        }
        answer
    }

    /// A message arrives when it is finished: a person thinks and then types, the agent thinks
    /// and then speaks.
    fn say(&mut self, role: &'static str, message: String, language: &Language) {
        let (median, spread, pace) = match role {
            "user" => (3.0, 0.7, 0.5),
            _ => (self.agent.reply_seconds, 0.5, 1.0),
        };
        let characters = u32::try_from(message.chars().count()).unwrap_or(u32::MAX);
        let seconds = f64::from(characters) / (language.chars_per_second * pace);
        self.wait(median, spread);
        self.pause(seconds * 0.8..seconds * 1.2);
        self.add(Event::Said { role, message });
    }

    /// Waits for a time from a log-normal distribution, as people and services take theirs.
    pub(super) fn wait(&mut self, median_seconds: f64, spread: f64) {
        // Box and Muller's transformation; 0 has no logarithm.
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
    fn the_same_seed_tells_the_same_conversations() {
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
        let told = all(3);
        let ids: HashSet<_> = told.iter().map(|conversation| conversation.session_id).collect();
        assert_eq!(ids.len(), told.len());
        let agents: HashSet<_> = told.iter().map(|conversation| conversation.agent_id).collect();
        assert_eq!(agents.len(), AGENTS.len());
        let joined = told.iter().filter(|c| matches!(c.lines[0].event, Event::Join)).count();
        assert!((360..400).contains(&joined), "{joined} of 400 begin with a room.join");
        let lengths: Vec<usize> = told.iter().map(|c| c.lines.len()).collect();
        assert!(lengths.iter().any(|&n| n <= 5) && lengths.iter().any(|&n| n >= 30));
    }

    #[test]
    fn somebody_speaks_in_each_script() {
        let spoken: String = all(5)
            .into_iter()
            .flat_map(|conversation| conversation.lines)
            .filter_map(|line| match line.event {
                Event::Said { message, .. } => Some(message),
                Event::Join => None,
            })
            .collect();
        for sample in ['a', 'ß', 'ñ', 'ç', 'я', 'の', '的', '다', 'ا', 'ह', '👋'] {
            assert!(spoken.contains(sample), "{sample}");
        }
    }
}
