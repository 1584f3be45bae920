//! Bins of durations, so that percentiles of millions of them can be computed from counts.
//!
//! The durations of a bin differ by less than a 64th. Its middle differs from each of them by at
//! most 0.8 %, and so does a percentile computed from middles. The database function
//! `reply_gap_bin` must compute the same bins.

/// Significant bits of a duration that select the bin, including the leading one.
const BITS: u32 = 7;
/// Number of bins of a power of two.
const BINS: i64 = 1 << (BITS - 1);

/// Number of all bins.
pub const COUNT: usize = (((i64::BITS - BITS) as usize) + 2) << (BITS - 1);

/// Returns the bin of a duration in microseconds.
#[must_use]
pub fn bin(us: i64) -> i32 {
    let us = us.max(0);
    let bits = i64::BITS - us.leading_zeros();
    let shift = bits.saturating_sub(BITS);
    let bin = i64::from(shift) * BINS + (us >> shift);
    i32::try_from(bin).unwrap_or(i32::MAX)
}

/// Returns the middle of a bin, in microseconds.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "bins of up to 2^53 microseconds are exact")]
pub fn middle(bin: i32) -> f64 {
    let bin = i64::from(bin);
    if bin < 2 * BINS {
        return bin as f64;
    }
    let shift = (bin / BINS - 1).min(i64::from(i64::BITS - 1 - BITS));
    let least = (bin % BINS + BINS) << shift;
    least as f64 + ((1_i64 << shift) - 1) as f64 / 2.0
}

/// Returns a percentile of binned durations in microseconds, interpolated linearly between
/// neighbours. `bins` are sorted, with the number of durations in each. Returns `None` if there are
/// none.
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "ranks are below 2^53 and not negative"
)]
pub fn percentile(bins: &[(i32, i64)], fraction: f64) -> Option<f64> {
    let count: i64 = bins.iter().map(|(_, count)| count).sum();
    let rank = fraction * (count - 1).max(0) as f64;
    let (low, high) = (rank.floor(), rank.ceil());
    let value = |rank: f64| {
        let mut before = 0;
        bins.iter().find_map(|(bin, count)| {
            before += count;
            (before > rank as i64).then(|| middle(*bin))
        })
    };
    let low_value = value(low)?;
    Some(low_value + (value(high)? - low_value) * (rank - low))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn short_durations_have_their_own_bins() {
        for us in 0..128 {
            assert_eq!(i64::from(bin(us)), us);
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let same = us as f64;
            assert_eq!(middle(bin(us)).to_bits(), same.to_bits());
        }
        assert_eq!((bin(128), bin(129), bin(130)), (128, 128, 129));
        assert_eq!(bin(-5), 0);
    }

    #[test]
    fn empty_bins_have_no_percentile() {
        assert_eq!(percentile(&[], 0.5), None);
        assert_eq!(percentile(&[(10, 1)], 0.99), Some(10.0));
        assert_eq!(percentile(&[(10, 1), (20, 1)], 0.5), Some(15.0));
    }

    proptest! {
        #[test]
        fn bins_are_in_order_and_their_middles_within_the_bound(
            us in 0_i64..(1 << 52), more in 0_i64..(1 << 40)
        ) {
            prop_assert!(bin(us) <= bin(us + more));
            #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
            let exact = us as f64;
            prop_assert!((middle(bin(us)) - exact).abs() <= 0.008 * exact);
        }

        #[test]
        fn percentiles_are_within_the_bound(
            mut values in prop::collection::vec(1_i64..100_000_000, 1..200), fraction in 0.0_f64..=1.0
        ) {
            values.sort_unstable();
            let mut bins: Vec<(i32, i64)> = Vec::new();
            for value in &values {
                match bins.last_mut() {
                    Some((last, count)) if *last == bin(*value) => *count += 1,
                    _ => bins.push((bin(*value), 1)),
                }
            }
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let (rank, at) = (fraction * (values.len() - 1) as f64, |place: usize| values[place] as f64);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
            let (low, high) = (rank.floor() as usize, rank.ceil() as usize);
            let exact = at(low) + (at(high) - at(low)) * rank.fract();
            let read = percentile(&bins, fraction).unwrap();
            prop_assert!((read - exact).abs() <= 0.008 * exact, "{read} for {exact}");
        }
    }
}
