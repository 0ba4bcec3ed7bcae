//! Plots and the self-contained HTML report.
//!
//! A [`Report`] is a title, a lead, the command that made it, and sections of text, tables and plots. It renders to one
//! HTML file without scripts or outside references, light or dark as the reader's system is.
//!
//! ```
//! use dozen_report::{LinePlot, Report, Table};
//!
//! let mut report = Report::new("A model", "What it is.", "dozen train ...");
//! let curve = LinePlot::new("Loss", "epoch", "nats").line("train", vec![(1.0, 3.0), (2.0, 2.5)]);
//! report.section("Training").plot(curve.svg(), "Loss falls.").table(Table::new(["metric", "value"]).row(["loss", "2.5"]));
//! assert!(report.html().contains("<svg"));
//! ```

mod animation;
mod html;
mod pictures;
mod plot;

pub use animation::Animation;
pub use html::{Report, Section, Table, escape};
pub use pictures::PictureGrid;
pub use plot::{BarPlot, LinePlot, PixelGrid, ScatterPlot, standalone};
