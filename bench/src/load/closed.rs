//! Closed loop: every connection sends its next request when the last one is answered. Finds what saturation costs, and
//! says nothing about latency.

use super::{Asked, Connection, Tally, Window};
use crate::clock;

pub(super) fn run(asked: &Asked, window: Window) -> Tally {
    let mut tally = Tally::default();
    let mut connection = None;
    loop {
        let started = clock::now();
        if started >= window.closes {
            return tally;
        }
        let answer = connect(&mut connection, asked).and_then(|open| {
            let answer = open.exchange(asked.request.bytes())?;
            Ok((open, answer))
        });
        match answer {
            Ok((_, answer)) if !window.holds(answer.done) => {}
            Ok((open, answer)) => tally.take(open, &answer, asked, started),
            Err(fault) => {
                tally.fail(format!("a broken connection: {fault}"));
                connection = None;
                clock::sleep_until(started + super::open::RECONNECT_AFTER);
            }
        }
    }
}

fn connect<'c>(connection: &'c mut Option<Connection>, asked: &Asked) -> std::io::Result<&'c mut Connection> {
    match connection {
        Some(open) => Ok(open),
        closed => Ok(closed.insert(asked.connect()?)),
    }
}
