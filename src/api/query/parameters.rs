//! Parameters that several routes share.

use serde::Deserialize;
use utoipa::IntoParams;

use super::number::Whole;
use super::words::{OneOf, Word};
use super::zone::Zone;
use crate::store::Order;

/// Rows of a page without `limit`.
const DEFAULT_LIMIT: u32 = 50;
/// Most rows of a page.
const MAX_LIMIT: i64 = 500;

/// Rows on a page, with a default in the document.
type Limit = Whole<1, MAX_LIMIT, 32, { DEFAULT_LIMIT as i64 }>;
/// Rows on a page.
pub(crate) type PlainLimit = Whole<1, MAX_LIMIT, 32>;
/// Name of an order.
type OrderWord = OneOf<Order>;

/// Page of a list that runs in both orders.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Paging {
    /// Rows on a page.
    #[param(inline, example = 50)]
    limit: Option<Limit>,
    /// Start of the page: the `next_cursor` of the one before, whose filters must stay.
    #[param(example = "AZmaLD8LfVGcVTocjg8rZA")]
    cursor: Option<String>,
    /// Order of the list.
    #[param(inline, example = "desc")]
    order: Option<OrderWord>,
}

/// Page of a list that runs in one order.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct OneWayPaging {
    /// Rows on a page.
    #[param(inline, example = 50)]
    limit: Option<PlainLimit>,
    /// The `next_cursor` of the page before.
    #[param(example = "AZmaLD8LfVGcVTocjg8rZA")]
    cursor: Option<String>,
}

/// Page that a query asks for.
pub(crate) trait PageQuery {
    /// Returns the most rows of the page.
    fn limit(&self) -> u32;

    /// Returns the cursor of the page before.
    fn cursor(&self) -> Option<&str>;

    /// Returns the order, if the query names one.
    fn order(&self) -> Option<Order>;
}

impl PageQuery for Paging {
    fn limit(&self) -> u32 {
        limit_of(self.limit)
    }

    fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    fn order(&self) -> Option<Order> {
        self.order.map(|OneOf(order)| order)
    }
}

impl PageQuery for OneWayPaging {
    fn limit(&self) -> u32 {
        limit_of(self.limit)
    }

    fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    fn order(&self) -> Option<Order> {
        None
    }
}

/// Returns the most rows of a page.
pub(crate) fn limit_of<const DEFAULT: i64>(limit: Option<Whole<1, MAX_LIMIT, 32, DEFAULT>>) -> u32 {
    limit.map_or(DEFAULT_LIMIT, Whole::as_u32)
}

impl Word for Order {
    fn all() -> Vec<Self> {
        vec![Self::Asc, Self::Desc]
    }

    fn word(self) -> &'static str {
        match self {
            Self::Asc => "asc",
            Self::Desc => "desc",
        }
    }
}

/// Choice among sessions that share the sender's ID.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Selector {
    /// The agent, where several share the session's id.
    #[param(example = "A80HVD8577")]
    pub(crate) agent_id: Option<String>,
    /// The source, where several delivered a session of this id.
    #[param(example = "default")]
    pub(crate) source: Option<String>,
}

/// Time zone of a query's times.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct InZone {
    /// The zone of dates, and of times without an offset, by the IANA's name in any case; UTC by
    /// default.
    #[param(value_type = Option<String>, example = "Europe/Berlin")]
    #[expect(dead_code, reason = "the times of the query are read in it")]
    tz: Option<Zone>,
}
