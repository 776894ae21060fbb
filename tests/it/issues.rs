//! One test for each defect that was found once, so that it is not found again. None so far.
