//! Other crates' ways to ask whether it is time to stop.

use async_shutdown::ShutdownManager;
use swansong::Swansong;
use tokio_util::sync::CancellationToken;

use crate::check::row;
use crate::crowd::Crowd;
use crate::rounds::Contender;

pub(crate) fn contenders(crowds: [Crowd; 2]) -> Vec<Contender> {
    vec![
        row(crowds, "swansong `Swansong::state`", Swansong::new, |swansong| !swansong.state().is_running()),
        row(crowds, "tokio-util `CancellationToken::is_cancelled`", CancellationToken::new, |token| {
            token.is_cancelled()
        }),
        row(crowds, "async-shutdown `is_shutdown_triggered`", ShutdownManager::<()>::new, |manager| {
            manager.is_shutdown_triggered()
        }),
        row(crowds, "triggered `Listener::is_triggered`", triggered::trigger, |(_, listener)| listener.is_triggered()),
    ]
}
