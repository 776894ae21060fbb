//! Kinds of findings, and how many of each a request has.

use std::collections::BTreeMap;
use std::fmt;

use minicbor::{Decoder, Encoder};
use serde::{Deserialize, Serialize};

/// How many kinds there are.
const KINDS: usize = 10;

/// The names under which kinds are asked for together.
pub const GROUPS: [&str; 2] = ["pii", "secret"];

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// An e-mail address.
    Email,
    /// A phone number.
    Phone,
    /// An international bank account number.
    Iban,
    /// The number of a payment card.
    Card,
    /// A number that a state gives to a person.
    NationalId,
    /// A key to a cloud.
    CloudSecret,
    /// A key to a provider of models, or to a gateway as this one.
    ProviderSecret,
    /// A token of another service, or a password in an address.
    AccessToken,
    /// A private key.
    PrivateKey,
    /// What only a webhook knows.
    Other,
}

impl FindingKind {
    /// All kinds, in the order of the reference.
    pub const ALL: [Self; KINDS] = [
        Self::Email,
        Self::Phone,
        Self::Iban,
        Self::Card,
        Self::NationalId,
        Self::CloudSecret,
        Self::ProviderSecret,
        Self::AccessToken,
        Self::PrivateKey,
        Self::Other,
    ];

    /// The name in documents, rules and traces.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Iban => "iban",
            Self::Card => "card",
            Self::NationalId => "national_id",
            Self::CloudSecret => "cloud_secret",
            Self::ProviderSecret => "provider_secret",
            Self::AccessToken => "access_token",
            Self::PrivateKey => "private_key",
            Self::Other => "other",
        }
    }

    /// What stands in a text in its place.
    #[must_use]
    pub const fn mark(self) -> &'static str {
        match self {
            Self::Email => "[EMAIL]",
            Self::Phone => "[PHONE]",
            Self::Iban => "[IBAN]",
            Self::Card => "[CARD]",
            Self::NationalId => "[NATIONAL_ID]",
            Self::CloudSecret => "[CLOUD_SECRET]",
            Self::ProviderSecret => "[PROVIDER_SECRET]",
            Self::AccessToken => "[ACCESS_TOKEN]",
            Self::PrivateKey => "[PRIVATE_KEY]",
            Self::Other => "[REDACTED]",
        }
    }

    /// The kind called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Whether there is a detector for it.
    #[must_use]
    pub const fn is_detected(self) -> bool {
        !matches!(self, Self::Other)
    }

    /// The group it belongs to: `pii`, `secret`, or none.
    #[must_use]
    pub const fn group(self) -> Option<&'static str> {
        let [pii, secret] = GROUPS;
        match self {
            Self::Email | Self::Phone | Self::Iban | Self::Card | Self::NationalId => Some(pii),
            Self::CloudSecret | Self::ProviderSecret | Self::AccessToken | Self::PrivateKey => Some(secret),
            Self::Other => None,
        }
    }

    const fn place(self) -> usize {
        match self {
            Self::Email => 0,
            Self::Phone => 1,
            Self::Iban => 2,
            Self::Card => 3,
            Self::NationalId => 4,
            Self::CloudSecret => 5,
            Self::ProviderSecret => 6,
            Self::AccessToken => 7,
            Self::PrivateKey => 8,
            Self::Other => 9,
        }
    }
}

/// How many of each kind were found. Serialised as an object of those that were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Findings([u32; KINDS]);

impl Findings {
    /// Notes `count` more of `kind`.
    pub fn add(&mut self, kind: FindingKind, count: u32) {
        if let Some(have) = self.0.get_mut(kind.place()) {
            *have = have.saturating_add(count);
        }
    }

    /// Notes all of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (kind, count) in other.iter() {
            self.add(kind, count);
        }
    }

    /// Kinds that were found and how often, in the order of the reference.
    pub fn iter(&self) -> impl Iterator<Item = (FindingKind, u32)> {
        FindingKind::ALL.into_iter().zip(self.0).filter(|(_, count)| *count > 0)
    }

    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// How many were found of the kind or group called `name`.
    #[must_use]
    pub fn named(&self, name: &str) -> u32 {
        let wanted = |kind: FindingKind| kind.as_str() == name || kind.group() == Some(name);
        self.iter().filter(|(kind, _)| wanted(*kind)).fold(0, |sum, (_, count)| sum.saturating_add(count))
    }

    /// The name that `name` is in full, where findings can be asked for it: a kind or a group.
    #[must_use]
    pub fn known(name: &str) -> Option<&'static str> {
        FindingKind::named(name).map(FindingKind::as_str).or_else(|| GROUPS.into_iter().find(|group| *group == name))
    }

    /// `pii` where any personal data was found, else `secret` where any secret was, else empty.
    ///
    /// Personal data goes first, so that a rule that sends `pii` to safe providers can't be got around by a secret beside it.
    #[must_use]
    pub fn sensitivity(&self) -> &'static str {
        GROUPS.into_iter().find(|group| self.named(group) > 0).unwrap_or_default()
    }
}

impl FromIterator<(FindingKind, u32)> for Findings {
    fn from_iter<T: IntoIterator<Item = (FindingKind, u32)>>(counted: T) -> Self {
        let mut findings = Self::default();
        for (kind, count) in counted {
            findings.add(kind, count);
        }
        findings
    }
}

impl fmt::Display for Findings {
    /// `email, card`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (kind, _)) in self.iter().enumerate() {
            f.write_str(if position == 0 { "" } else { ", " })?;
            f.write_str(kind.as_str())?;
        }
        Ok(())
    }
}

impl<C> minicbor::Encode<C> for Findings {
    fn encode<W: minicbor::encode::Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.begin_map()?;
        for (kind, count) in self.iter() {
            e.str(kind.as_str())?.u32(count)?;
        }
        e.end().map(drop)
    }
}

impl<C> minicbor::Decode<'_, C> for Findings {
    /// A kind that this version does not know counts among the others.
    fn decode(d: &mut Decoder<'_>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let counted = d.map_iter::<&str, u32>()?;
        counted.map(|entry| entry.map(|(name, count)| (FindingKind::named(name).unwrap_or(FindingKind::Other), count))).collect()
    }
}

impl<'de> Deserialize<'de> for Findings {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let counted = BTreeMap::<FindingKind, u32>::deserialize(deserializer)?;
        Ok(counted.into_iter().collect())
    }
}

impl Serialize for Findings {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(kind, count)| (kind.as_str(), count)))
    }
}
