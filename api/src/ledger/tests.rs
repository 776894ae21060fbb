mod booking;
mod escrow;
mod interleaving;
mod world;
