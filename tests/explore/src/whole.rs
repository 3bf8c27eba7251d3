//! The race in the thread binding: handles, passes, tokens, tasks, hooks, kickers, channels and wait groups against the driver.
//! A wake that is lost ends in a run that nobody can go on with, which the scheduler calls a deadlock (P4, P9).

mod book;
mod step;
mod task;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_channel::{Receiver, TryRecvError};
use winddown::testing::ManualClock;
use winddown::{
    Budget, Escalation, Kicker, Member, Milestone, OwnedPass, Phase, Reason, Shutdown, Stage, Token, WaitGroup,
};

use self::book::{Book, Class};
pub(super) use self::step::Program;
use self::step::{End, Step, When, Why};
use self::task::Task;
pub(crate) use self::task::block_on;
use super::core_alone::locked;
use super::program::{Threads, Whom};
use super::thread;

pub(super) fn run(program: &Program) {
    let Threads(threads) = &program.threads;
    let inboxes = threads.iter().map(|_| Mutex::new(Some(VecDeque::new()))).collect();
    let book = Arc::new(Book {
        may_go_wrong: program.end != End::Ask,
        inboxes,
        at_closing: AtomicUsize::new(usize::MAX),
        ..Book::default()
    });
    let clock = ManualClock::new();
    let theirs = book.clone();
    let closing = move || theirs.at_closing.store(theirs.inside.load(SeqCst), SeqCst);
    let shutdown = Shutdown::builder()
        .budget(Budget::new(Duration::from_secs(30)))
        .escalation(Escalation {
            spacing: Duration::ZERO,
            drain_at: book.may_go_wrong.then_some(2),
            force_at: book.may_go_wrong.then_some(3),
            exit_at: None,
        })
        .manual_clock(&clock)
        .stage(Stage::new("later"))
        .stage(Stage::new("first").hook(closing))
        .build()
        .expect("a plan that fits");
    let group = WaitGroup::new();
    let racers: Vec<_> = threads
        .iter()
        .enumerate()
        .map(|(own, steps)| {
            let racer = Racer {
                own,
                book: book.clone(),
                clock: clock.clone(),
                handles: vec![shutdown.clone()],
                group: group.clone(),
                passes: Vec::new(),
                members: Vec::new(),
                kickers: Vec::new(),
                channels: Vec::new(),
                tasks: Vec::new(),
                seen: Phase::Running,
            };
            let steps = steps.clone();
            thread::spawn(move || racer.race(&steps))
        })
        .collect();
    book.ask(&shutdown, Reason::Requested);
    match program.end {
        End::Ask => {}
        End::Force => book.force(&shutdown),
        End::Late => book.advance(&clock),
    }
    let exit = shutdown.run();
    book.is_told_truly(&exit);
    for racer in racers {
        racer.join().unwrap();
    }
    assert_eq!(*locked(&book.first), [exit.report.reason], "P1: one was the first, and is told");
}

struct Racer {
    own: usize,
    book: Arc<Book>,
    clock: ManualClock,
    handles: Vec<Shutdown>,
    group: WaitGroup,
    passes: Vec<(Class, OwnedPass)>,
    members: Vec<Member>,
    kickers: Vec<Kicker>,
    channels: Vec<Receiver<Infallible>>,
    tasks: Vec<Task>,
    seen: Phase,
}

impl Racer {
    fn race(mut self, steps: &[Step]) {
        for &step in steps {
            self.take(step);
        }
        self.empty_handed();
    }

    fn take(&mut self, step: Step) {
        let Some(shutdown) = self.handles.last().cloned() else { return };
        match step {
            Step::Enter(class) => self.enter(&shutdown, class),
            Step::Leave => self.leave(),
            Step::Split => self.split(),
            Step::Send(whom) => self.send(whom),
            Step::Receive => {
                let pass = locked(&self.book.inboxes[self.own]).as_mut().and_then(VecDeque::pop_front);
                self.passes.extend(pass);
            }
            Step::Ask(Why::Failure) => self.book.ask(&shutdown, Reason::Failure),
            Step::Ask(Why::Interrupt) => self.book.ask(&shutdown, Reason::Interrupt),
            Step::Ask(Why::Signal) => self.book.ask(&shutdown, Reason::Signal(15)),
            Step::Force if self.book.may_go_wrong && shutdown.is_shutting_down() => self.book.force(&shutdown),
            Step::Advance if self.book.may_go_wrong => self.book.advance(&self.clock),
            Step::Force | Step::Advance => {}
            Step::Kicker { at, comes_back, kept } => self.kicker(&shutdown, at, comes_back, kept),
            Step::TakeBack => drop(self.kickers.pop()),
            Step::Hook => self.hook(&shutdown),
            Step::Channel(when) => self.channels.push(shutdown.token_at(when.into()).receiver()),
            Step::Task { at, comes_back } => self.tasks.push(Task::new(&shutdown, at.into(), comes_back)),
            Step::PollAgain { comes_back } => {
                if let Some(task) = self.tasks.last_mut() {
                    task.poll(&shutdown, comes_back);
                }
            }
            Step::DropTask => drop(self.tasks.pop()),
            Step::Join => self.members.extend(self.group.join()),
            Step::LeaveGroup => drop(self.members.pop()),
            Step::CloneHandle => self.handles.push(shutdown.clone()),
            Step::DropHandle => drop(self.handles.pop()),
            Step::WaitFor(when) => {
                self.empty_handed();
                self.token_at(&shutdown, when).wait();
                assert!(shutdown.is_shutting_down());
            }
            Step::Await(when) => {
                self.empty_handed();
                block_on(self.token_at(&shutdown, when).cancelled());
                assert!(shutdown.is_shutting_down());
            }
            Step::WaitForGroup => {
                self.empty_handed();
                self.group.wait();
                assert_eq!(self.group.members(), 0);
                assert!(self.group.join().is_err());
            }
            Step::Run => {
                self.empty_handed();
                let exit = if self.is_of_futures() { task::end_of(&shutdown) } else { shutdown.run() };
                self.book.is_told_truly(&exit);
                for task in &mut self.tasks {
                    task.is_over(&exit);
                }
                assert_eq!(shutdown.phase(), Phase::Done);
                assert!(
                    self.channels.iter().all(|channel| channel.try_recv() == Err(TryRecvError::Disconnected)),
                    "P4"
                );
            }
        }
        let phase = shutdown.phase();
        assert!(self.seen <= phase, "P1: back from {} to {phase}", self.seen);
        self.seen = phase;
    }

    /// Every second one lives among futures: its hooks are such, it awaits the end, and waits as a part of the whole.
    fn is_of_futures(&self) -> bool {
        self.own % 2 == 1
    }

    fn token_at(&self, shutdown: &Shutdown, when: When) -> Token {
        let token = shutdown.token_at(when.into());
        if self.is_of_futures() { token.child().token() } else { token }
    }

    fn enter(&mut self, shutdown: &Shutdown, class: Class) {
        let before = shutdown.phase();
        match shutdown.work().priority(class.into()).enter_owned() {
            Ok(pass) => {
                assert!(before <= Phase::Draining, "P2: admitted while {before}");
                self.book.came(class);
                self.passes.push((class, pass));
            }
            Err(_) => assert!(shutdown.is_shutting_down(), "P2: refused while running"),
        }
    }

    fn leave(&mut self) {
        if let Some((class, pass)) = self.passes.pop() {
            self.book.goes(class);
            drop(pass);
        }
    }

    fn split(&mut self) {
        if let Some((class, pass)) = self.passes.last() {
            let (class, part) = (*class, pass.split().expect("a gate with room"));
            self.book.came(class);
            self.passes.push((class, part));
        }
    }

    fn send(&mut self, whom: Whom) {
        let inboxes = &self.book.inboxes;
        let mut inbox = locked(&inboxes[whom.among(inboxes.len())]);
        if let Some(inbox) = &mut *inbox {
            inbox.extend(self.passes.pop());
        }
    }

    fn kicker(&mut self, shutdown: &Shutdown, at: When, comes_back: bool, kept: bool) {
        let runs = Arc::new(AtomicUsize::new(0));
        let (theirs, handle) = (runs.clone(), comes_back.then(|| Handle(shutdown.clone())));
        let kick = move || {
            theirs.fetch_add(1, SeqCst);
            drop(handle);
        };
        let kicker = match at {
            When::Triggered => shutdown.kicker(kick),
            When::Refusing => shutdown.kicker_at_refusal(kick),
            When::LastCall => shutdown.kicker_at_last_call(kick),
        };
        if !kept {
            return self.kickers.push(kicker);
        }
        kicker.keep();
        if at == When::Triggered {
            locked(&self.book.kept).push(runs);
        }
    }

    fn hook(&mut self, shutdown: &Shutdown) {
        let book = self.book.clone();
        let hook = move || {
            book.hooks_run.fetch_add(1, SeqCst);
        };
        let taken = if self.is_of_futures() {
            shutdown.async_hook("later", task::at_the_second_poll(hook))
        } else {
            shutdown.hook("later", hook)
        };
        if taken.is_ok() {
            self.book.hooks.fetch_add(1, SeqCst);
        }
    }

    /// Lets go of all that somebody might wait for.
    fn empty_handed(&mut self) {
        let inbox = locked(&self.book.inboxes[self.own]).take();
        self.passes.extend(inbox.into_iter().flatten());
        while !self.passes.is_empty() {
            self.leave();
        }
        self.members.clear();
    }
}

/// P9: what a kicker or a waker owns may come back to the shutdown, wherever it is dropped.
struct Handle(Shutdown);

impl Drop for Handle {
    fn drop(&mut self) {
        drop(self.0.kicker(|| ()));
        drop(self.0.enter());
        drop(Task::new(&self.0, Milestone::Done, false));
        let _ = self.0.phase();
    }
}
