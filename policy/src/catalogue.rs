//! Built-in catalogue.
