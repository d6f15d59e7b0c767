//! All orders in which threads can go on.
//!
//! Owns: the search, which is the same for whatever the threads do. Must not: run a thread.

/// A search through all orders of at most so many interruptions. A thread that is not interrupted goes on as long as it
/// can.
#[derive(Debug, Default)]
pub struct Orders {
    limit: Option<usize>,
    /// Which of how many went on, at each step of the present order.
    path: Vec<(usize, usize)>,
}

impl Orders {
    /// All orders of at most `limit` interruptions; without one, all that there are.
    pub fn new(limit: Option<usize>) -> Self {
        Self { limit, path: Vec::new() }
    }

    /// The present order, from its first step.
    pub fn begin(&mut self) -> Order<'_> {
        Order { orders: self, interruptions: 0, taken: Vec::new() }
    }

    /// Goes on to the next order; false if there is none.
    pub fn advance(&mut self) -> bool {
        while self.path.last().is_some_and(|&(chosen, choices)| chosen + 1 == choices) {
            self.path.pop();
        }
        self.path.last_mut().map(|(chosen, _)| *chosen += 1).is_some()
    }
}

/// One order, as far as it was taken.
#[derive(Debug)]
pub struct Order<'o> {
    orders: &'o mut Orders,
    interruptions: usize,
    taken: Vec<usize>,
}

impl Order<'_> {
    /// Which of `threads` goes on, where `last` did so far.
    pub fn choose(&mut self, threads: usize, last: Option<usize>) -> usize {
        let step = self.taken.len();
        if step == self.orders.path.len() {
            let may_interrupt = last.is_none() || self.orders.limit.is_none_or(|limit| self.interruptions < limit);
            self.orders.path.push((0, if may_interrupt { threads } else { 1 }));
        }
        // First the one that did so far, then the others in turn.
        let chosen = self.orders.path[step].0;
        let next = (last.unwrap_or(0) + chosen) % threads;
        self.interruptions += usize::from(last.is_some() && chosen > 0);
        self.taken.push(next);
        next
    }

    /// The threads that went on, step by step.
    pub fn into_taken(self) -> Vec<usize> {
        self.taken
    }
}
