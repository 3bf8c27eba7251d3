//! Who the clients are, and what they send.

use std::collections::VecDeque;
use std::time::Duration;

use super::tried::Kind;

/// How many keep-alive connections.
pub(super) const CROWD: usize = 1000;
/// Besides these, so many connections are opened without a pause when it matters.
pub(super) const RUSHING: usize = 400;
/// The most that anything may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(6);

/// A kind of client. None of them looks at its connection while it thinks, as simple clients do not: so one that is
/// closed meanwhile is found out only with the next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Orders, thinks, looks at what it has ordered. For the linger: it always thinks for less.
    Shopper,
    /// Waits for slow answers, so that there is something to drain.
    Patient,
    /// Has four requests on their way at any time, for large answers, and reads slowly. For the lingering close.
    Pipeliner,
    /// Sends an order that is too large, and looks for an answer only when it is sent. For the lingering close.
    Uploader,
    /// Asks whether the server is alive and ready.
    Prober,
    /// A connection for each request. For the door.
    Rusher,
}

/// Something to send, so long after what is before it.
pub(super) struct Piece {
    pub(super) pause: Duration,
    pub(super) bytes: Vec<u8>,
}

impl Role {
    /// Of the client of this number.
    pub(super) fn of(number: usize) -> Self {
        match number {
            CROWD.. => Self::Rusher,
            0 => Self::Prober,
            1..=20 => Self::Pipeliner,
            21..=40 => Self::Uploader,
            41..=100 => Self::Patient,
            _ => Self::Shopper,
        }
    }

    /// How many requests are on their way at a time.
    pub(super) fn window(self) -> usize {
        if self == Self::Pipeliner { 4 } else { 1 }
    }

    /// Whether it reads while it still has something to send.
    pub(super) fn reads_early(self) -> bool {
        self != Self::Uploader
    }

    /// How much it reads, and how long it waits then.
    pub(super) fn pace(self) -> (usize, Duration) {
        match self {
            Self::Pipeliner => (32 * 1024, Duration::from_millis(10)),
            _ => (4 * 1024, Duration::ZERO),
        }
    }

    /// From an answer to the next request.
    pub(super) fn think(self, random: &mut Random) -> Duration {
        match self {
            Self::Shopper | Self::Uploader => random.millis(100, 250),
            Self::Patient => random.millis(20, 100),
            Self::Prober => Duration::from_millis(50),
            Self::Pipeliner | Self::Rusher => Duration::ZERO,
        }
    }

    /// From a connection that did not come about to the next.
    pub(super) fn sulk(self, random: &mut Random) -> Duration {
        match self {
            Self::Rusher => Duration::from_millis(200),
            _ => random.millis(400, 800),
        }
    }

    pub(super) fn next(self, random: &mut Random, last_order: Option<usize>) -> Kind {
        match (self, random.below(10), last_order) {
            (Self::Shopper, 0, Some(order)) => Kind::Show { order },
            (Self::Shopper, 1, _) | (Self::Patient, ..) => Kind::Slow,
            (Self::Shopper, ..) => Kind::Order,
            (Self::Pipeliner, ..) => Kind::Large,
            (Self::Uploader, ..) => Kind::TooLarge,
            (Self::Prober, 0..5, _) => Kind::Alive,
            (Self::Prober, ..) => Kind::Ready,
            (Self::Rusher, ..) => Kind::Rush,
        }
    }

    /// A request on the wire. `number` is that of the order to look at.
    pub(super) fn write(self, kind: Kind, id: &str, number: &str, random: &mut Random) -> VecDeque<Piece> {
        let get = |target: &str| head("GET", target, id, "");
        let head = match kind {
            Kind::Order => return order(id, random),
            Kind::TooLarge => return upload(id),
            Kind::Show { .. } => get(&format!("/orders/{number}")),
            Kind::Slow => {
                let (from, to) = if self == Self::Patient { (200, 1500) } else { (10, 150) };
                get(&format!("/slow?ms={}", random.millis(from, to).as_millis()))
            }
            Kind::Large => get("/large?kb=128"),
            Kind::Alive => get("/healthz"),
            Kind::Ready => get("/readyz"),
            Kind::Rush => head("GET", "/slow?ms=0", id, "Connection: close\r\n"),
        };
        VecDeque::from([Piece { pause: Duration::ZERO, bytes: head }])
    }
}

/// What the order of this id says.
pub(super) fn order_body(id: &str) -> String {
    format!("{{\"id\":\"{id}\",\"item\":\"a pound of nails\"}}")
}

fn head(method: &str, target: &str, id: &str, more: &str) -> Vec<u8> {
    format!("{method} {target} HTTP/1.1\r\nHost: demo\r\nX-Id: {id}\r\n{more}\r\n").into_bytes()
}

/// One in eight comes in two pieces.
fn order(id: &str, random: &mut Random) -> VecDeque<Piece> {
    let body = order_body(id);
    let mut bytes = head("POST", "/orders", id, &format!("Content-Length: {}\r\n", body.len()));
    bytes.extend_from_slice(body.as_bytes());
    let pause = Duration::ZERO;
    if random.below(8) > 0 {
        return VecDeque::from([Piece { pause, bytes }]);
    }
    let rest = bytes.split_off(bytes.len() - body.len() / 2);
    VecDeque::from([Piece { pause, bytes }, Piece { pause: Duration::from_millis(30), bytes: rest }])
}

fn upload(id: &str) -> VecDeque<Piece> {
    const PIECE: usize = 16 * 1024;
    let head = head("POST", "/orders", id, &format!("Content-Length: {}\r\n", 16 * PIECE));
    let body = (0..16).map(|_| Piece { pause: Duration::from_millis(5), bytes: vec![b'x'; PIECE] });
    std::iter::once(Piece { pause: Duration::ZERO, bytes: head }).chain(body).collect()
}

/// Xorshift: the same load each time, as far as the clients decide it.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: usize) -> Self {
        Self((seed as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }

    pub(super) fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }
}
