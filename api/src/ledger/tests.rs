mod booking;
mod concurrency;
mod escrow;
mod interleaving;
mod world;
