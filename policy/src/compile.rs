//! From what operators meant to what workers enforce.
