//! Closed loop: every connection sends its next request when the last one is answered. Finds what saturation costs, and
//! says nothing about latency.

use std::net::SocketAddr;

use super::{Connection, Peers, Sample, Tally, Window};
use crate::clock;

pub(super) fn run(target: SocketAddr, peers: Peers, request: &[u8], window: Window) -> Tally {
    let mut tally = Tally::default();
    let mut connection = None;
    loop {
        let started = clock::now();
        if started >= window.closes {
            return tally;
        }
        let answer = match connect(&mut connection, target, peers) {
            Ok(open) => open.exchange(request),
            Err(fault) => Err(fault),
        };
        match answer {
            Ok(answer) if !window.holds(answer.done) => {}
            Ok(answer) if answer.status == 200 => {
                tally.samples.push(Sample { latency: answer.done - started, first_byte: answer.first_byte - started });
            }
            Ok(answer) => tally.fail(answer.status),
            Err(_) => {
                tally.fail(0);
                connection = None;
                clock::sleep_until(started + super::open::RECONNECT_AFTER);
            }
        }
    }
}

fn connect(connection: &mut Option<Connection>, target: SocketAddr, peers: Peers) -> std::io::Result<&mut Connection> {
    match connection {
        Some(open) => Ok(open),
        closed => Ok(closed.insert(Connection::open_as(peers, target)?)),
    }
}
