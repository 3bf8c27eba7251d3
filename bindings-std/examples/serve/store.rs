//! Orders in a database file. One thread writes: whatever has come meanwhile is one transaction, and nobody hears that
//! an order is taken before it is on the disk.

use std::fmt;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::{self, JoinHandle};

use redb::{Database, ReadableTable, TableDefinition};

/// Number to id and body.
pub(crate) const ORDERS: TableDefinition<'_, u64, (&str, &str)> = TableDefinition::new("orders");
/// How many orders may wait, and how many make one transaction at most.
const GROUP: usize = 1024;

pub(crate) struct Order {
    pub(crate) id: String,
    pub(crate) body: String,
}

pub(crate) struct Store {
    /// `None` once it is closed.
    database: Arc<RwLock<Option<Database>>>,
    jobs: SyncSender<Job>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

enum Job {
    Add { order: Order, done: SyncSender<Result<u64, Failed>> },
    Stop,
}

/// Why something could not be had from the database, or put there.
#[derive(Clone, Debug)]
pub(crate) enum Failed {
    /// It is closed.
    Closed,
    Database(Arc<redb::Error>),
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the database is closed"),
            Self::Database(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Failed {}

impl<E: Into<redb::Error>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self::Database(Arc::new(error.into()))
    }
}

impl Store {
    pub(crate) fn open(path: &Path) -> Result<Self, Box<dyn std::error::Error>> {
        let database = Database::create(path)?;
        let next = first_free(&database)?;
        let database = Arc::new(RwLock::new(Some(database)));
        let (jobs, queue) = mpsc::sync_channel(GROUP);
        let shared = database.clone();
        let writer = thread::Builder::new().name("writer".into()).spawn(move || write(&shared, &queue, next))?;
        Ok(Self { database, jobs, writer: Mutex::new(Some(writer)) })
    }

    /// Returns its number once the order is durable.
    pub(crate) fn add(&self, order: Order) -> Result<u64, Failed> {
        let (done, result) = mpsc::sync_channel(1);
        self.jobs.send(Job::Add { order, done }).map_err(|_| Failed::Closed)?;
        result.recv().unwrap_or(Err(Failed::Closed))
    }

    pub(crate) fn get(&self, number: u64) -> Result<Option<Order>, Failed> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let table = database.as_ref().ok_or(Failed::Closed)?.begin_read()?.open_table(ORDERS)?;
        let row = table.get(number)?;
        Ok(row.map(|row| {
            let (id, body) = row.value();
            Order { id: id.to_owned(), body: body.to_owned() }
        }))
    }

    /// Commits all that has come, and takes no more.
    pub(crate) fn stop_writing(&self) -> Result<(), &'static str> {
        let _ = self.jobs.send(Job::Stop);
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        writer.map_or(Ok(()), JoinHandle::join).map_err(|_| "the writer panicked")
    }

    /// Closes the file: the next one to open it finds nothing to repair.
    pub(crate) fn close(&self) {
        drop(self.database.write().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// Also makes the table, so that reading finds one.
fn first_free(database: &Database) -> Result<u64, Failed> {
    let transaction = database.begin_write()?;
    let next = transaction.open_table(ORDERS)?.last()?.map_or(1, |(last, _)| last.value() + 1);
    transaction.commit()?;
    Ok(next)
}

fn write(database: &RwLock<Option<Database>>, queue: &Receiver<Job>, mut next: u64) {
    let mut stopping = false;
    while !stopping {
        let Ok(first) = queue.recv() else { return };
        let mut group = Vec::new();
        for job in std::iter::once(first).chain(queue.try_iter().take(GROUP - 1)) {
            match job {
                Job::Add { order, done } => group.push((order, done)),
                Job::Stop => stopping = true,
            }
        }
        let database = database.read().unwrap_or_else(PoisonError::into_inner);
        let committed = commit(database.as_ref(), next, group.iter().map(|(order, _)| order));
        for (number, (_, done)) in (next..).zip(&group) {
            // It has room for one, and whoever waits for it is there.
            let _ = done.send(committed.clone().map(|()| number));
        }
        next += if committed.is_ok() { group.len() as u64 } else { 0 };
    }
}

fn commit<'a>(database: Option<&Database>, next: u64, orders: impl Iterator<Item = &'a Order>) -> Result<(), Failed> {
    let transaction = database.ok_or(Failed::Closed)?.begin_write()?;
    let mut table = transaction.open_table(ORDERS)?;
    for (number, order) in (next..).zip(orders) {
        table.insert(number, (order.id.as_str(), order.body.as_str()))?;
    }
    drop(table);
    Ok(transaction.commit()?)
}
