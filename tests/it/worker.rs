//! The worker as its callers see it: a real process between a socket and a provider.
