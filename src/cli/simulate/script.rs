//! Conversations: who says what, and when. The same seed and index give the same conversation,
//! apart from the moment at which it ends.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use uuid::Uuid;

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

struct Agent {
    id: &'static str,
    name: &'static str,
    topic: Topic,
}

const AGENTS: &[Agent] = &[
    Agent { id: "A80HVD8577", name: "Pip", topic: Topic::Museum },
    Agent { id: "A91XMB7113", name: "Clara", topic: Topic::Orders },
    Agent { id: "A27QKT4402", name: "Mateo", topic: Topic::Travel },
    Agent { id: "A63JWN9058", name: "Ada", topic: Topic::Support },
    Agent { id: "A15BRC3316", name: "Lumi", topic: Topic::Kiosk },
    Agent { id: "A48ZFP6120", name: "Noor", topic: Topic::Orders },
    Agent { id: "A72GYS2945", name: "Kenji", topic: Topic::Travel },
];

/// A session that restarts in mid-conversation gets a new id and no new `room.join`.
const RESTARTED: f64 = 0.04;
/// A reply that the visitor interrupts arrives as far as it got.
const INTERRUPTED: f64 = 0.06;

impl Conversation {
    /// Conversation number `index` of a run, whose last event is at `ends_at_micros`.
    pub(super) fn new(seed: u64, index: u64, ends_at_micros: i64) -> Self {
        let mut rng = rng_of(seed, index);
        let agent = AGENTS.choose(&mut rng).unwrap_or(&AGENTS[0]);
        let session_id = uuid::Builder::from_random_bytes(rng.random()).into_uuid();
        let room_name = room_name(agent.id, &mut rng);
        let participant_count = rng.random_range(1..=3);
        let mut told = Telling { agent, rng, now_micros: 0, lines: Vec::new() };
        told.tell();
        let mut lines = told.lines;
        let shift = ends_at_micros - lines.last().map_or(0, |line| line.at_micros);
        for line in &mut lines {
            line.at_micros += shift;
        }
        Self { agent_id: agent.id, session_id, room_name, participant_count, lines }
    }
}

/// Each conversation has a generator of its own, so that the order in which they are played
/// changes none of them.
fn rng_of(seed: u64, index: u64) -> StdRng {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&index.to_le_bytes());
    StdRng::from_seed(bytes)
}

/// Such as `room-A80HVD8577-qtrJ-cOFR`.
fn room_name(agent_id: &str, rng: &mut StdRng) -> String {
    let mut part = || -> String {
        (0..4).map(|_| char::from(rng.sample(rand::distr::Alphanumeric))).collect()
    };
    format!("room-{agent_id}-{}-{}", part(), part())
}

/// A conversation while it is being made.
struct Telling {
    agent: &'static Agent,
    rng: StdRng,
    now_micros: i64,
    lines: Vec<Line>,
}

impl Telling {
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
            self.visit(restarted);
        }
    }

    fn visit(&mut self, restarted: bool) {
        let language = Language::pick(&mut self.rng);
        let mut details = Details::new(self.agent.name, &mut self.rng);
        if !restarted {
            let greeting = details.fill(pick(language.greetings, &mut self.rng));
            self.say("assistant", greeting, language);
        }
        let questions = language.questions(self.agent.topic, &mut self.rng);
        let length = self.length();
        for exchange in questions.iter().cycle().take(length) {
            let (question, answer) = language.say(*exchange, &mut details, &mut self.rng);
            self.say("user", question, language);
            let answer = self.interrupted(answer);
            self.say("assistant", answer, language);
        }
        if self.rng.random_bool(0.6) {
            let (goodbye, answer) = language.farewell(&details, &mut self.rng);
            self.say("user", goodbye, language);
            self.say("assistant", answer, language);
        }
    }

    /// How many questions somebody asks: mostly a few, sometimes very many.
    fn length(&mut self) -> usize {
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
    /// quickly and then speaks.
    fn say(&mut self, role: &'static str, message: String, language: &Language) {
        let (thinking, pace) = match role {
            "user" => (0.8..9.0, 0.5),
            _ => (0.4..1.6, 1.0),
        };
        let characters = u32::try_from(message.chars().count()).unwrap_or(u32::MAX);
        let seconds = f64::from(characters) / (language.chars_per_second * pace);
        self.pause(thinking);
        self.pause(seconds * 0.8..seconds * 1.2);
        self.add(Event::Said { role, message });
    }

    fn pause(&mut self, seconds: std::ops::Range<f64>) {
        #[expect(clippy::cast_possible_truncation, reason = "minutes, in microseconds")]
        let micros = (self.rng.random_range(seconds) * 1e6) as i64;
        self.now_micros += micros;
    }

    fn add(&mut self, event: Event) {
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
