//! Guesses which earlier session is continued by a session that began without a join.
//!
//! A sender's session that restarts during a conversation gets a new ID and no new `room.join`.
//! Only facts link the two, so the result is a guess with a confidence and a reason, and
//! nothing is merged.

use std::cmp::Reverse;

use chrono::{DateTime, TimeDelta, Utc};

/// Longest silence of an interruption: the sender's guide treats a longer one as the end.
pub const MAX_SILENCE: TimeDelta = TimeDelta::minutes(30);

/// Least confidence of a guess that is returned, in per cent.
const LEAST_CONFIDENCE: u64 = 10;

/// Session that began with a message and without a join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSession {
    /// Time of its earliest event.
    pub started_at: DateTime<Utc>,
    /// Its room, if known.
    pub room_name: Option<String>,
    /// Role of its first message.
    pub first_role: Option<String>,
}

/// Session of the same agent and source that was silent when the new one began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EarlierSession {
    /// Time of its latest event.
    pub last_activity_at: DateTime<Utc>,
    /// Its room, if known.
    pub room_name: Option<String>,
    /// Role of its last message.
    pub last_role: Option<String>,
    /// The sender has ended it.
    pub ended: bool,
    /// Another session without a join began between the two, and may be the continuation.
    pub taken: bool,
}

/// Guessed continuation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guess {
    /// Index of the earlier session among the candidates.
    pub index: usize,
    /// Confidence, in per cent.
    pub confidence: u64,
    /// Explanation for a person.
    pub reason: String,
}

/// Returns the earlier session that the new one most likely continues, if any is likely enough. The
/// confidence is its likelihood, multiplied by its share of the sum over all candidates.
#[must_use]
pub fn guess(newcomer: &NewSession, earlier: &[EarlierSession]) -> Option<Guess> {
    let likelihoods: Vec<_> = earlier.iter().map(|one| likelihood(newcomer, one)).collect();
    let all: u64 = likelihoods.iter().sum();
    // Of equally likely candidates the first one.
    let (index, best) =
        likelihoods.iter().copied().enumerate().max_by_key(|(at, like)| (*like, Reverse(*at)))?;
    let confidence = (best * best).checked_div(all)?;
    let rivals = likelihoods.iter().filter(|like| **like >= LEAST_CONFIDENCE).count();
    (confidence >= LEAST_CONFIDENCE).then(|| Guess {
        index,
        confidence,
        reason: reason(newcomer, &earlier[index], rivals.saturating_sub(1)),
    })
}

/// Returns the likelihood of a candidate if it were the only one, in per cent.
fn likelihood(newcomer: &NewSession, earlier: &EarlierSession) -> u64 {
    let silence = newcomer.started_at - earlier.last_activity_at;
    let by_time = match silence.num_seconds() {
        _ if silence < TimeDelta::zero() || silence > MAX_SILENCE => 0,
        0..=30 => 95,
        31..=120 => 85,
        121..=600 => 60,
        _ => 35,
    };
    let factors = [
        (earlier.ended, 40),
        (earlier.taken, 30),
        (in_other_rooms(newcomer, earlier), 50),
        (turn(newcomer, earlier) == Turn::Same("assistant"), 60),
        (turn(newcomer, earlier) == Turn::Same("user"), 85),
        (turn(newcomer, earlier) == Turn::Unknown, 80),
    ];
    let apply = |like, (applies, per_cent)| if applies { like * per_cent / 100 } else { like };
    factors.into_iter().fold(by_time, apply)
}

/// Speakers before and after the interruption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn<'a> {
    /// Different roles: one answers the other.
    Other,
    /// Same role. An assistant that speaks twice may be greeting a new visitor.
    Same(&'a str),
    /// A session has no message.
    Unknown,
}

fn turn<'a>(newcomer: &'a NewSession, earlier: &EarlierSession) -> Turn<'a> {
    match (newcomer.first_role.as_deref(), earlier.last_role.as_deref()) {
        (Some(first), Some(last)) if first == last => Turn::Same(first),
        (Some(_), Some(_)) => Turn::Other,
        _ => Turn::Unknown,
    }
}

fn in_other_rooms(newcomer: &NewSession, earlier: &EarlierSession) -> bool {
    let rooms = newcomer.room_name.as_ref().zip(earlier.room_name.as_ref());
    rooms.is_some_and(|(one, other)| one != other)
}

/// Returns the explanation, with a sentence for each circumstance.
fn reason(newcomer: &NewSession, earlier: &EarlierSession, rivals: usize) -> String {
    let seconds = (newcomer.started_at - earlier.last_activity_at).num_seconds();
    let mut sentences = vec![
        format!(
            "This session began with a message and without a join, {seconds} s after the other \
             one of the same agent and source had fallen silent."
        ),
        match turn(newcomer, earlier) {
            Turn::Other => "Its first message is by the other side than the last one there.".into(),
            Turn::Same("assistant") => {
                "Less certain: the assistant spoke last there and first here, so it may be \
                 greeting a new visitor."
                    .into()
            }
            Turn::Same(role) => {
                format!("Less certain: the {role} spoke last there and first here.")
            }
            Turn::Unknown => "Less certain: one of the two has no message.".into(),
        },
    ];
    for (applies, doubt) in [
        (earlier.ended, "Less certain: the sender had ended the other one."),
        (earlier.taken, "Less certain: another such session began in between."),
        (in_other_rooms(newcomer, earlier), "Less certain: the rooms have different names."),
        (rivals == 1, "Less certain: 1 further session is a candidate."),
    ] {
        sentences.extend(applies.then(|| doubt.to_owned()));
    }
    if rivals > 1 {
        sentences.push(format!("Less certain: {rivals} further sessions are candidates."));
    }
    sentences.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn newcomer(first_role: &str) -> NewSession {
        NewSession {
            started_at: DateTime::UNIX_EPOCH + TimeDelta::hours(1),
            room_name: None,
            first_role: Some(first_role.into()),
        }
    }

    fn silent_for(seconds: i64, last_role: &str) -> EarlierSession {
        EarlierSession {
            last_activity_at: newcomer("user").started_at - TimeDelta::seconds(seconds),
            room_name: None,
            last_role: Some(last_role.into()),
            ended: false,
            taken: false,
        }
    }

    #[test]
    fn confidence_depends_on_the_circumstances() {
        let near = || silent_for(10, "assistant");
        let lobby = || Some("lobby".to_owned());
        for (case, first, earlier, expected) in [
            ("nobody", "user", vec![], None),
            ("right away, and answered", "user", vec![near()], Some((0, 95))),
            ("the same instant", "user", vec![silent_for(0, "assistant")], Some((0, 95))),
            ("after a minute", "user", vec![silent_for(60, "assistant")], Some((0, 85))),
            ("after five minutes", "user", vec![silent_for(300, "assistant")], Some((0, 60))),
            ("after half an hour", "user", vec![silent_for(1800, "assistant")], Some((0, 35))),
            ("later than that", "user", vec![silent_for(1801, "assistant")], None),
            ("before it was silent", "user", vec![silent_for(-1, "assistant")], None),
            ("the assistant answers", "assistant", vec![silent_for(10, "user")], Some((0, 95))),
            ("the assistant twice", "assistant", vec![near()], Some((0, 57))),
            ("the user twice", "user", vec![silent_for(10, "user")], Some((0, 80))),
            (
                "nobody had spoken",
                "user",
                vec![EarlierSession { last_role: None, ..near() }],
                Some((0, 76)),
            ),
            (
                "ended by the sender",
                "user",
                vec![EarlierSession { ended: true, ..near() }],
                Some((0, 38)),
            ),
            (
                "ended long ago, and a greeting",
                "assistant",
                vec![EarlierSession { ended: true, ..silent_for(1500, "assistant") }],
                None,
            ),
            (
                "continued elsewhere",
                "user",
                vec![EarlierSession { taken: true, ..near() }],
                Some((0, 28)),
            ),
            ("two alike", "user", vec![near(), near()], Some((0, 47))),
            ("four alike", "user", vec![near(), near(), near(), near()], Some((0, 23))),
            ("ten alike", "user", vec![near(); 10], None),
            (
                "the likelier of two",
                "user",
                vec![silent_for(900, "assistant"), near()],
                Some((1, 69)),
            ),
            (
                "chain whose first session is already continued",
                "user",
                vec![near(), EarlierSession { taken: true, ..silent_for(90, "assistant") }],
                Some((0, 75)),
            ),
            (
                "one room known",
                "user",
                vec![EarlierSession { room_name: lobby(), ..near() }],
                Some((0, 95)),
            ),
        ] {
            let guess = guess(&newcomer(first), &earlier);
            let found = guess.as_ref().map(|guess| (guess.index, guess.confidence));
            assert_eq!(found, expected, "{case}: {guess:?}");
        }
    }

    #[test]
    fn different_room_halves_the_confidence() {
        let room = |name: &str| Some(name.to_owned());
        let newcomer = NewSession { room_name: room("lobby"), ..newcomer("user") };
        let near = silent_for(10, "assistant");
        for (other, confidence) in [("lobby", 95), ("office", 47)] {
            let earlier = EarlierSession { room_name: room(other), ..near.clone() };
            assert_eq!(guess(&newcomer, &[earlier]).unwrap().confidence, confidence, "{other}");
        }
    }

    #[test]
    fn reason_lists_each_doubt() {
        let doubtful = EarlierSession { ended: true, ..silent_for(10, "assistant") };
        let rival = silent_for(1700, "assistant");
        let reason = guess(&newcomer("user"), &[doubtful, rival]).unwrap().reason;
        assert!(reason.contains("10 s after"), "{reason}");
        assert!(reason.contains("the sender had ended the other one"), "{reason}");
        assert!(reason.contains("1 further session is a candidate"), "{reason}");
        assert!(!reason.contains("another such session"), "{reason}");
    }
}
