//! Identifiers: a three-letter prefix that says what a thing is, and a time-ordered tail: `prj_01J9Z…`.
//!
//! The tail is a version 7 UUID in Crockford's base 32, 26 characters, so that ids sort by creation in any database and are safe in URLs.
//! Secrets are not ids; they are made by the planes with a random source of their own.

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// What an id is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdKind {
    /// Organization.
    Organization,
    /// User.
    User,
    /// Membership of a user.
    Membership,
    /// Console session.
    Session,
    /// Project.
    Project,
    /// Provider.
    Provider,
    /// Model.
    Model,
    /// Price of a model for a span of time.
    Price,
    /// Routing config.
    RoutingConfig,
    /// One version of a routing config.
    RoutingConfigVersion,
    /// Budget.
    Budget,
    /// Period of a budget.
    BudgetPeriod,
    /// Lease of a worker on a budget period.
    Lease,
    /// Proxy key.
    ProxyKey,
    /// Management key.
    ManagementKey,
    /// Worker.
    Worker,
    /// Token with which workers enrol.
    WorkerToken,
    /// Audit event.
    AuditEvent,
    /// Bundle.
    Bundle,
    /// Request, which is also the id of its decision.
    Request,
    /// Usage event.
    UsageEvent,
    /// Ledger entry.
    LedgerEntry,
}

impl IdKind {
    /// The prefix with its underscore.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Organization => "org_",
            Self::User => "usr_",
            Self::Membership => "mem_",
            Self::Session => "ses_",
            Self::Project => "prj_",
            Self::Provider => "prv_",
            Self::Model => "mdl_",
            Self::Price => "prc_",
            Self::RoutingConfig => "cfg_",
            Self::RoutingConfigVersion => "cfv_",
            Self::Budget => "bud_",
            Self::BudgetPeriod => "bpd_",
            Self::Lease => "lse_",
            Self::ProxyKey => "key_",
            Self::ManagementKey => "mky_",
            Self::Worker => "wrk_",
            Self::WorkerToken => "wtk_",
            Self::AuditEvent => "aud_",
            Self::Bundle => "bnd_",
            Self::Request => "req_",
            Self::UsageEvent => "evt_",
            Self::LedgerEntry => "ent_",
        }
    }
}

/// A fresh id of `kind`, later than every id made before it in this process.
#[must_use]
pub fn new_id(kind: IdKind) -> String {
    let mut id = String::with_capacity(30);
    id.push_str(kind.prefix());
    push_base32(&mut id, uuid::Uuid::now_v7().as_u128());
    id
}

/// An id of `kind` with this tail: for who makes time-ordered tails of its own, many a second. The first 48 bits are milliseconds since
/// 1970, as in a `UUIDv7`; the rest must not repeat.
#[must_use]
pub fn id_with_tail(kind: IdKind, tail: u128) -> String {
    let mut id = String::with_capacity(30);
    id.push_str(kind.prefix());
    push_base32(&mut id, tail);
    id
}

/// The half of a request's id that its worker drew by chance, and that a decision leaves to chance by ([`crate::facts::RequestFacts::draw`]).
/// None where this is no id.
#[must_use]
pub fn draw_of(id: &str) -> Option<u64> {
    let (_, tail) = id.split_at_checked(4).filter(|(_, tail)| tail.len() == 26)?;
    let digit = |byte| ALPHABET.iter().position(|digit| *digit == byte).and_then(|digit| u128::try_from(digit).ok());
    let value = tail.bytes().try_fold(0_u128, |value, byte| Some((value << 5) | digit(byte)?))?;
    u64::try_from(value & u128::from(u64::MAX)).ok()
}

fn push_base32(out: &mut String, value: u128) {
    for shift in (0..26_u32).rev() {
        let digit = usize::try_from((value >> shift.saturating_mul(5)) & 31).unwrap_or(0);
        out.push(char::from(ALPHABET.get(digit).copied().unwrap_or(b'0')));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_draw_is_read_out_of_an_id() {
        let tail = 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210_u128;
        assert_eq!(draw_of(&id_with_tail(IdKind::Request, tail)), Some(0xfedc_ba98_7654_3210));
        assert_eq!(draw_of("req_1"), None);
        assert_eq!(draw_of("req_00000000000000000000000O00"), None);
    }

    #[test]
    fn ids_are_prefixed_unique_and_sort_by_creation() {
        let ids: Vec<String> = (0..10_000).map(|_| new_id(IdKind::Project)).collect();
        assert!(ids.iter().all(|id| id.starts_with("prj_") && id.len() == 30));
        assert!(ids.is_sorted());
        let unique: std::collections::HashSet<_> = ids.iter().collect();
        assert_eq!(unique.len(), ids.len());
    }
}
