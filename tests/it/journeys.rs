//! Both planes together: what a platform team does, from beginning to end.
