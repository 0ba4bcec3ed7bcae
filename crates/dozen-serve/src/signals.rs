//! SIGTERM and Ctrl-C: the first asks the server to stop, the second ends it.

use std::io::Result;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// The exit code of a program that was interrupted.
const INTERRUPTED: i32 = 130;

/// Signals that are noted from now on.
pub(crate) struct Signals(UnboundedReceiver<()>);

impl Signals {
    /// Notes them from now on, so that none that comes after this ends the process by itself.
    pub(crate) fn install() -> Result<Self> {
        let (sender, receiver) = unbounded_channel();
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let (mut terminated, mut interrupted) =
                (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
            tokio::spawn(async move {
                let mut count = 0;
                loop {
                    tokio::select! {
                        _ = terminated.recv() => {}
                        _ = interrupted.recv() => {}
                    }
                    count += 1;
                    if count > 1 {
                        std::process::exit(INTERRUPTED);
                    }
                    let _ = sender.send(());
                }
            });
        }
        #[cfg(not(unix))]
        tokio::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() {
                if sender.send(()).is_err() {
                    std::process::exit(INTERRUPTED);
                }
            }
        });
        Ok(Self(receiver))
    }

    /// Until the first.
    pub(crate) async fn first(mut self) {
        self.0.recv().await;
    }
}
