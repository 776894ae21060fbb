//! The whole schema: nothing in it may be without a case.
