//! What each model of a bundle costs at an instant, ready to be handed out.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::bundle::v1::{Bundle, LaterPrices};
use crate::price::{LongContext, PriceSheet, Rates};

/// A price sheet and the name of its version.
pub(super) type Versioned = (Arc<PriceSheet>, Arc<str>);

/// The prices of a bundle, by the positions of its models.
#[derive(Debug)]
pub(super) struct PriceBook {
    models: Vec<Periods>,
    /// For models without a price, where the organization has them priced at a ceiling.
    ceiling: Option<Versioned>,
}

/// The prices of one model, those that begin later in the order of time.
#[derive(Debug)]
struct Periods {
    first: Option<Versioned>,
    later: Vec<(DateTime<Utc>, Versioned)>,
}

impl PriceBook {
    pub(super) fn new(bundle: &Bundle) -> Self {
        let models = bundle.models.iter().map(|model| Periods {
            first: model.rates.map(|rates| (sheet(rates, &model.long_context), Arc::clone(&model.price_version))),
            later: model.later.iter().map(|later| (later.from, announced(&model.price_version, later))).collect(),
        });
        let ceiling = bundle.unpriced_rates.map(|rates| (Arc::new(PriceSheet::from(rates)), Arc::from("ceiling")));
        Self { models: models.collect(), ceiling }
    }

    /// What the model at `position` costs at `time`; absent where neither it nor a ceiling has a price.
    pub(super) fn find(&self, position: Option<usize>, time: DateTime<Utc>) -> Option<Versioned> {
        let model = position.and_then(|position| self.models.get(position));
        let own = model.and_then(|model| {
            let later = model.later.iter().rev().find(|(from, _)| *from <= time).map(|(_, versioned)| versioned);
            later.or(model.first.as_ref())
        });
        own.or(self.ceiling.as_ref()).cloned()
    }
}

/// A price that begins later is a version of its own: what was paid before and after is told apart by it.
fn announced(version: &str, later: &LaterPrices) -> Versioned {
    (sheet(later.rates, &later.long_context), format!("{version} from {}", later.from.format("%F %T")).into())
}

fn sheet(rates: Rates, long_context: &Arc<[LongContext]>) -> Arc<PriceSheet> {
    Arc::new(PriceSheet { rates, long_context: Arc::clone(long_context) })
}
