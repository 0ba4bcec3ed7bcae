//! What is written is whole, and what was there is safe.
//!
//! A file is written beside the one that it replaces and renamed ([`NewFile`], [`write_file`]). A model folder is a
//! [`RunFolder`] until it is whole: locked, with checkpoints that are renamed as one folder, and put in place by one
//! rename. Whenever the process ends, the disk holds the old state or the new one, and [`RunFolder::resume`] finds it.
//! All changes go through `disk`, where a test can end the process at each of them, or fill the disk.
//!
//! ```
//! use dozen_run::{Existing, RunFolder};
//!
//! let place = tempfile::tempdir().unwrap();
//! let run = RunFolder::begin(&place.path().join("model"), Existing::Keep).unwrap();
//! run.write_json("config.json", &serde_json::json!({ "family": "none", "format": 1 })).unwrap();
//! let model = run.finish().unwrap();
//! assert!(model.join("config.json").exists());
//! ```

#[cfg(feature = "folders")]
mod checkpoints;
#[cfg(feature = "folders")]
mod contents;
#[cfg(feature = "folders")]
pub mod disk;
#[cfg(feature = "folders")]
mod error;
mod guard;
#[cfg(feature = "folders")]
mod interrupt;
#[cfg(feature = "folders")]
mod lock;
#[cfg(feature = "folders")]
mod model_folder;
#[cfg(feature = "folders")]
mod new_file;
#[cfg(feature = "folders")]
mod out;
#[cfg(feature = "folders")]
mod run_folder;
mod say;
mod stop;

#[cfg(feature = "folders")]
pub use checkpoints::Checkpoints;
#[cfg(feature = "folders")]
pub use contents::read_json;
#[cfg(feature = "folders")]
pub use error::{Error, is_of_request};
pub use guard::{guarded, is_guarded, message};
#[cfg(feature = "interrupts")]
pub use interrupt::install_interrupt_handler;
#[cfg(feature = "folders")]
pub use interrupt::{Finishing, interrupt_requested, request_interrupt};
#[cfg(feature = "folders")]
pub use lock::Lock;
#[cfg(feature = "folders")]
pub use model_folder::{FORMAT_VERSION, ModelFolder, WrittenBy};
#[cfg(feature = "folders")]
pub use new_file::{NewFile, write_file};
#[cfg(feature = "folders")]
pub use run_folder::{Existing, Resumed, RunFolder};
pub use say::say;
pub use stop::{Gone, Wanted, is_stop, stop_point};
