//! An executor of the program's own, on one thread, wound down without any other:
//! `cargo run --example custom_executor`, which asks itself to stop; with `wait` behind it, it waits for Ctrl-C or SIGTERM.

use std::collections::VecDeque;
use std::error::Error;
use std::io::{self, Write};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use winddown::{Budget, Exit, Milestone, Reason, Shutdown, Stage};

/// The whole executor: tasks, and a queue of those that want to be polled. All on the thread that made it.
struct Executor {
    /// `None`: it has ended.
    tasks: Vec<Option<Pin<Box<dyn Future<Output = ()>>>>>,
    queue: Arc<Queue>,
}

struct Queue {
    woken: Mutex<VecDeque<usize>>,
    thread: Thread,
}

/// The number of the future that `run` was given; the tasks have their places.
const MAIN: usize = usize::MAX;

/// A task's waker. The library asks for no more of an executor than this.
struct Wakes(usize, Arc<Queue>);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.1.woken.lock().expect("nobody panics with it").push_back(self.0);
        self.1.thread.unpark();
    }
}

impl Executor {
    fn new() -> Self {
        let queue = Queue { woken: Mutex::default(), thread: thread::current() };
        Self { tasks: Vec::new(), queue: Arc::new(queue) }
    }

    fn waker(&self, task: usize) -> Waker {
        Arc::new(Wakes(task, self.queue.clone())).into()
    }

    fn spawn(&mut self, task: impl Future<Output = ()> + 'static) {
        self.tasks.push(Some(Box::pin(task)));
        self.waker(self.tasks.len() - 1).wake();
    }

    /// Polls whatever was woken, until the main future is ready. That one first: it polls the hooks, if it was polled before
    /// their time.
    fn run<T>(&mut self, main: impl Future<Output = T>) -> T {
        let mut main = pin!(main);
        self.queue.woken.lock().expect("nobody panics with it").push_front(MAIN);
        loop {
            let woken = self.queue.woken.lock().expect("nobody panics with it").pop_front();
            let Some(number) = woken else {
                thread::park();
                continue;
            };
            let waker = self.waker(number);
            let mut context = Context::from_waker(&waker);
            if number == MAIN {
                if let Poll::Ready(output) = main.as_mut().poll(&mut context) {
                    return output;
                }
            } else if let Some(task) = &mut self.tasks[number] {
                if task.as_mut().poll(&mut context).is_ready() {
                    self.tasks[number] = None;
                }
            }
        }
    }
}

fn main() -> Result<Exit, Box<dyn Error>> {
    let shutdown = Shutdown::builder()
        .budget(Budget::new(Duration::from_secs(10)))
        .signals()
        // Ends the process even if a task is stuck: all are on the main thread.
        .watchdog(Duration::from_millis(500))
        .stage(Stage::new("goodbye").async_hook(async { say(&format!("the hook, on {:?}", thread::current().name())) }))
        .build()?;
    let mut executor = Executor::new();

    // Told to stop.
    let token = shutdown.token();
    executor.spawn(async move {
        token.cancelled().await;
        say("a task was told");
    });
    // Waited for: it holds a pass over an await.
    // Refused only if the program has been told to stop already.
    if let Ok(pass) = shutdown.enter_owned() {
        let refusing = shutdown.token_at(Milestone::Refusing);
        executor.spawn(async move {
            refusing.cancelled().await;
            say("a task drops its pass");
            drop(pass);
        });
    }
    // Waited for, by name; it would be dropped at its deadline.
    let token = shutdown.token();
    if let Ok(upload) = shutdown.work().label("upload").track(async move { token.cancelled().await }) {
        executor.spawn(async move { say(&format!("the upload has ended: {:?}", upload.await)) });
    }

    if std::env::args().nth(1).as_deref() != Some("wait") {
        shutdown.trigger(Reason::Requested);
    }
    say(&format!("up, as process {}", std::process::id()));
    // The same loop polls the hook.
    let exit = executor.run(shutdown.ended());
    say(&format!("\n{}", exit.report));
    Ok(exit)
}

/// Prints a line. A reader that is gone is no error; `println!` would panic.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}
