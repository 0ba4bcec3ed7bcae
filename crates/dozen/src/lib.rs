//! dozen as a library: the family crates under one name, and [`open`], which opens a trained model of any of them.
//!
//! ```
//! use dozen::data::{ReadOptions, make, read_table};
//!
//! let made = make::binary_tree(10, 4, 0);
//! assert_eq!(made.table.rows(), 10);
//! ```

mod families;

pub use dozen_data as data;
pub use dozen_generative as generative;
pub use dozen_graph as graph;
pub use dozen_kernels as kernels;
pub use dozen_nn as nn;
pub use dozen_report as report;
pub use dozen_run as run;
pub use dozen_sequence as sequence;
pub use dozen_text as text;
pub use dozen_transport as transport;
pub use dozen_vision as vision;
pub use families::{Error, FAMILIES, Family, Model, open, open_on};
