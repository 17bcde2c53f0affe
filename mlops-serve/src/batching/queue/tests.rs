//! Every order of events keeps what the queue promises.

use super::*;
use proptest::prelude::*;
use std::{
    cell::Cell,
    rc::Rc,
    time::{Duration, Instant},
};

const WIDTH: usize = 2;
const AHEAD: usize = 1;
const MOST: usize = 6;

#[derive(Clone, Debug)]
struct Item {
    number: usize,
    kind: u8,
    rows: usize,
    priority: u8,
    deadline: Option<Instant>,
    left: Rc<Cell<bool>>,
}

impl Waits for Item {
    fn rows(&self) -> usize {
        self.rows
    }
    fn bytes(&self) -> usize {
        self.rows * 10
    }
    fn priority(&self) -> u8 {
        self.priority
    }
    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
    fn is_abandoned(&self) -> bool {
        self.left.get()
    }
    fn joins(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

#[derive(Clone, Debug)]
enum Op {
    Come { kind: u8, rows: usize, priority: u8, within: Option<u64> },
    Finish,
    Leave(prop::sample::Index),
    Pass(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let rows = prop_oneof![9 => 0..9_usize, 1 => Just(30_usize)];
    let come = (0..2_u8, rows, 0..3_u8, prop::option::of(0..5_u64));
    let come =
        come.prop_map(|(kind, rows, priority, within)| Op::Come { kind, rows, priority, within });
    prop_oneof![
        6 => come,
        3 => Just(Op::Finish),
        1 => any::<prop::sample::Index>().prop_map(Op::Leave),
        1 => (1..3_u64).prop_map(Op::Pass),
    ]
}

/// The queue, and all that it was told.
struct World {
    queue: Queue<Item>,
    now: Instant,
    running: usize,
    /// What the queue should hold, in the order of coming.
    waiting: Vec<Item>,
    number: usize,
}

impl World {
    fn new() -> Self {
        let config = BatchingConfig::default().with_max_batch_rows(MOST).with_ahead(AHEAD);
        let config = config.with_max_waiting_requests(8).with_max_waiting_rows(24);
        let queue = Queue::new(config.with_max_waiting_bytes(230));
        Self { queue, now: Instant::now(), running: 0, waiting: Vec::new(), number: 0 }
    }

    fn is_late(&self, item: &Item) -> bool {
        item.left.get() || item.deadline.is_some_and(|deadline| deadline <= self.now)
    }

    fn come(&mut self, kind: u8, rows: usize, priority: u8, within: Option<u64>) {
        if self.queue.start(WIDTH) {
            assert!(self.running < WIDTH && self.waiting.is_empty());
            self.running += 1;
            return;
        }
        let deadline = within.map(|steps| self.now + Duration::from_secs(steps + 1));
        self.number += 1;
        let left = Rc::default();
        let item = Item { number: self.number, kind, rows, priority, deadline, left };
        let mut dropped = Vec::new();
        let refused = self.queue.push(item.clone(), self.now, &mut dropped).is_err();
        self.forget(&dropped);
        if refused {
            assert!(!self.waiting.is_empty(), "what is too large for all bounds waits alone");
            let rows = rows + self.waiting.iter().map(|item| item.rows).sum::<usize>();
            assert!(self.waiting.len() == 8 || rows > 24 || rows * 10 > 230, "there was room");
        } else {
            self.waiting.push(item);
        }
    }

    fn forget(&mut self, dropped: &[Item]) {
        for item in dropped {
            assert!(self.is_late(item), "somebody waits for it");
            self.take(item);
        }
    }

    fn take(&mut self, item: &Item) {
        let at = self.waiting.iter().position(|other| other.number == item.number);
        self.waiting.remove(at.expect("a request comes out once"));
    }

    fn dispatch(&mut self) {
        let Dispatch { batches, dropped } = self.queue.dispatch(WIDTH, usize::MAX, self.now);
        self.forget(&dropped);
        for batch in batches {
            self.running += 1;
            let rows: usize = batch.iter().map(|item| item.rows).sum();
            assert!(batch.len() == 1 || rows <= MOST);
            let next = self.waiting.iter().filter(|item| item.kind == batch[0].kind);
            let next = next.filter(|item| batch.iter().all(|other| other.number != item.number));
            let is_whole = rows >= MOST
                || next
                    .max_by_key(|item| (item.priority, std::cmp::Reverse(item.number)))
                    .is_some_and(|item| rows + item.rows > MOST);
            assert!(
                self.running <= WIDTH || is_whole,
                "a batch went ahead that could have held more"
            );
            let urgent = self.waiting.iter().map(|item| item.priority).max();
            assert_eq!(Some(batch[0].priority), urgent, "something more urgent waits");
            for item in &batch {
                assert!(item.kind == batch[0].kind && !self.is_late(item));
                self.take(item);
            }
            let overtaken = |item: &&Item| {
                item.kind == batch[0].kind
                    && batch.iter().any(|other| {
                        other.priority < item.priority
                            || (other.priority == item.priority && other.number > item.number)
                    })
            };
            assert_eq!(self.waiting.iter().find(overtaken).map(|item| item.number), None);
        }
        assert!(self.running <= WIDTH + AHEAD);
        assert!(self.running >= WIDTH || self.waiting.is_empty(), "a permit lies idle");
        assert_eq!(self.queue.len(), self.waiting.len());
    }
}

proptest! {
    #[test]
    fn nothing_is_lost_overtaken_or_let_idle(ops in prop::collection::vec(op(), 1..200)) {
        let mut world = World::new();
        for op in ops {
            match op {
                Op::Come { kind, rows, priority, within } => {
                    world.come(kind, rows, priority, within);
                }
                Op::Finish if world.running > 0 => {
                    world.queue.finish();
                    world.running -= 1;
                }
                Op::Leave(index) if !world.waiting.is_empty() => {
                    index.get(&world.waiting).left.set(true);
                }
                Op::Finish | Op::Leave(_) => {}
                Op::Pass(steps) => world.now += Duration::from_secs(steps),
            }
            world.dispatch();
        }
        while world.running > 0 {
            world.queue.finish();
            world.running -= 1;
            world.dispatch();
        }
        prop_assert!(world.waiting.is_empty(), "some wait for ever");
    }
}
