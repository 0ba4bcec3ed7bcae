//! `dozen make KIND`: data whose truth is known.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use dozen::data::make::GraphKind;
use dozen::data::{DataError, Made, make, write_file, write_table};
use dozen::vision::detection::Format;
use dozen::vision::made;
use serde_json::json;

use crate::context::Context;
use crate::output::{Failure, Results};

/// Of `--help`; each stands in the docs, where it is run.
pub(crate) const EXAMPLES: &str = concat!(
    "Examples:",
    "\n  dozen make two-moons --rows 1000 --out moons.csv",
    "\n  dozen make shapes --rows 32 --image-size 24 --out photos",
    "\n  dozen make graph --kind random --nodes 200 --edges 800 --out edges.csv",
);

/// What to make.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The distribution
    #[arg(value_enum)]
    kind: Kind,
    /// Rows to draw
    #[arg(short = 'n', long, default_value_t = 10_000, value_name = "N")]
    rows: usize,
    /// Bits to a row, for binary-tree; at most, for parity
    #[arg(long, default_value_t = 16, value_name = "N")]
    columns: usize,
    /// Columns beside the label, for gaussian-mixture
    #[arg(long, default_value_t = 2, value_name = "N")]
    dimensions: usize,
    /// The shape, for graph
    #[arg(long = "kind", value_enum, default_value_t = Shape::Random, value_name = "KIND")]
    shape: Shape,
    /// Nodes, for graph
    #[arg(long, default_value_t = 1000, value_name = "N")]
    nodes: usize,
    /// Edges, for graphs that are random or rmat
    #[arg(long, default_value_t = 8000, value_name = "N")]
    edges: usize,
    /// Stems of words, for text
    #[arg(long, default_value_t = 200, value_name = "N")]
    stems: usize,
    /// Sides of the pictures in pixels, for shapes and detection
    #[arg(long, default_value_t = 48, value_name = "N")]
    image_size: usize,
    /// Share of cells to leave out at random, for tables
    #[arg(long, default_value_t = 0.0, value_name = "F")]
    missing: f64,
    /// The file to write: .csv, .tsv, .parquet or .npy; text for text, reber and tagged; a folder for shapes and detection
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(ValueEnum, Debug, Clone, Copy)]
enum Kind {
    /// Bits of a Bayesian network shaped as a tree; its exact entropy is printed
    BinaryTree,
    /// Two interleaved half circles; their entropy is printed
    TwoMoons,
    /// Uniform on the dark squares of a board; its exact entropy is printed
    Checkerboard,
    /// Eight Gaussians on a circle, in --dimensions; their entropy is printed
    GaussianMixture,
    /// Eight narrow Gaussians on a circle, on which generators lose modes; their entropy is printed
    GaussianRing,
    /// Twenty-five narrow Gaussians on a grid; their entropy is printed
    GaussianGrid,
    /// Four concentric rings; their entropy is printed
    Rings,
    /// Three well separated clusters
    Blobs,
    /// Edges u, v with weights uniform in [0, 1)
    Graph,
    /// Strings of Reber's grammar, one a line; their exact entropy is printed
    Reber,
    /// Rows of bits, and whether an odd number of them are ones
    Parity,
    /// Words with their parts of speech, for taggers
    Tagged,
    /// Two noisy waves, for forecasts
    Series,
    /// Pictures of eight shapes, a folder for each; --out is a folder
    Shapes,
    /// Pictures with several shapes of widely spread sizes, and their boxes as COCO has them; --out is a folder
    Detection,
    /// Sentences of a made language; files of its analogies and likenesses are written beside it
    Text,
}

#[derive(ValueEnum, Debug, Clone, Copy)]
enum Shape {
    /// Any two ends
    Random,
    /// A square grid
    Grid,
    /// Few nodes have most of the edges
    Rmat,
    /// All pairs
    Complete,
}

impl Shape {
    fn kind(self) -> GraphKind {
        match self {
            Self::Random => GraphKind::Random,
            Self::Grid => GraphKind::Grid,
            Self::Rmat => GraphKind::Rmat,
            Self::Complete => GraphKind::Complete,
        }
    }
}

pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let Arguments { kind, rows, columns, shape, nodes, edges, out, .. } = arguments;
    if *rows == 0 || *columns == 0 || arguments.dimensions == 0 {
        return Err(Failure::request("--rows, --columns and --dimensions must be at least 1"));
    }
    let seed = context.seed();
    let Made { table, truth } = match kind {
        Kind::Text => return text(arguments, context),
        Kind::Shapes => return shapes(arguments, context),
        Kind::Detection => return detection(arguments, context),
        Kind::Reber => {
            let made = make::reber(*rows, seed);
            return plain(arguments, &made.text, Some(made.nats_per_character), context);
        }
        Kind::Tagged => return plain(arguments, &make::tagged(*rows, seed), None, context),
        Kind::Parity => Made { table: make::parity(*rows, *columns, seed), truth: Vec::new() },
        Kind::Series => Made { table: make::series(*rows, seed), truth: Vec::new() },
        Kind::BinaryTree => make::binary_tree(*rows, *columns, seed),
        Kind::TwoMoons => make::two_moons(*rows, seed),
        Kind::Checkerboard => make::checkerboard(*rows, seed),
        Kind::GaussianMixture => make::gaussian_mixture(*rows, arguments.dimensions, seed),
        Kind::GaussianRing => make::gaussian_ring(*rows, seed),
        Kind::GaussianGrid => make::gaussian_grid(*rows, seed),
        Kind::Rings => make::rings(*rows, seed),
        Kind::Blobs => make::blobs(*rows, seed),
        Kind::Graph => Made { table: make::graph(shape.kind(), *nodes, *edges, seed)?, truth: Vec::new() },
    };
    let table = match arguments.missing {
        0.0 => table,
        share if (0.0..1.0).contains(&share) => make::holes(&table, share, seed),
        share => return Err(Failure::request(format!("--missing must lie in [0, 1), not {share}"))),
    };
    let (rows, width) = (table.rows(), table.columns().len());
    write_table(out, [Ok(table)])?;
    let mut json = json!({ "rows": rows, "columns": width, "out": out.display().to_string() });
    let mut lines = vec![format!("{rows} rows of {width} columns in {}", out.display())];
    for (name, value) in truth {
        json[name] = value.into();
        lines.push(format!("{}: {value:.6} exactly", name.replace('_', " ")));
    }
    Results::new(json).lines(lines).print(context.json())
}

/// Writes pictures into a folder for each class.
fn shapes(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let Arguments { rows, image_size, out, .. } = arguments;
    if !(8..=4096).contains(image_size) {
        return Err(Failure::request("--image-size lies between 8 and 4096"));
    }
    new_folder(out)?;
    for kind in made::SHAPES {
        let folder = out.join(kind);
        std::fs::create_dir_all(&folder).map_err(|error| DataError::write(&folder, error))?;
    }
    for (number, (kind, picture)) in made::shapes(*rows, *image_size, context.seed()).iter().enumerate() {
        let file = out.join(made::SHAPES[*kind]).join(format!("{number:05}.png"));
        write_file(&file, picture.png())?;
    }
    let json = json!({ "images": rows, "classes": made::SHAPES, "out": out.display().to_string() });
    let line = format!("{rows} pictures of {} shapes in {}", made::SHAPES.len(), out.display());
    Results::new(json).line(line).print(context.json())
}

/// Pictures among others that are there already would be taken for one set.
fn new_folder(out: &Path) -> Result<(), Failure> {
    if out.is_dir() && out.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Failure::request(format!(
            "the folder `{}` is not empty; remove it, or choose another --out",
            out.display()
        )));
    }
    Ok(())
}

/// Writes pictures, and their boxes in `boxes.json` beside them.
fn detection(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let Arguments { rows, image_size, out, .. } = arguments;
    if !(32..=4096).contains(image_size) {
        return Err(Failure::request("--image-size lies between 32 and 4096"));
    }
    new_folder(out)?;
    let (set, pictures) = made::scenes(*rows, *image_size, [0.02, 0.42], context.seed());
    set.write(&out.join("boxes.json"), Format::Coco)?;
    for (image, picture) in set.images.iter().zip(&pictures) {
        let file = out.join(&image.path);
        write_file(&file, picture.png())?;
    }
    let boxes = out.join("boxes.json").display().to_string();
    let json =
        json!({ "images": rows, "boxes": set.boxes.len(), "categories": set.categories, "out": boxes });
    let line = format!("{rows} pictures with {} boxes in {boxes}", set.boxes.len());
    Results::new(json).line(line).print(context.json())
}

/// Writes text as it is.
fn plain(arguments: &Arguments, text: &str, nats: Option<f64>, context: &Context) -> Result<(), Failure> {
    let out = &arguments.out;
    write_file(out, text)?;
    let out = out.display().to_string();
    let mut lines = vec![format!("{} of them in {out}", arguments.rows)];
    let mut json = json!({ "rows": arguments.rows, "out": out });
    if let Some(nats) = nats {
        json["nats_per_character"] = nats.into();
        lines.push(format!("nats a character: {nats:.6} exactly"));
    }
    Results::new(json).lines(lines).print(context.json())
}

fn text(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let made = make::text(arguments.rows, arguments.stems, context.seed());
    let write = |path: &Path, text: &str| -> Result<String, Failure> {
        write_file(path, text)?;
        Ok(path.display().to_string())
    };
    let questions = |(name, questions): &(String, Vec<[String; 4]>)| {
        let lines: String = questions.iter().map(|words| words.join(" ") + "\n").collect();
        format!(": {name}\n{lines}")
    };
    let analogies: String = made.analogies.iter().map(questions).collect();
    let pairs: String = made.similarity.iter().map(|(a, b, score)| format!("{a}\t{b}\t{score}\n")).collect();
    let out = write(&arguments.out, &made.text)?;
    let analogies = write(&arguments.out.with_extension("analogies.txt"), &analogies)?;
    let similarity = write(&arguments.out.with_extension("similarity.txt"), &pairs)?;
    let lines = [
        format!("{} sentences in {out}", arguments.rows),
        format!("its analogies are in {analogies}, how alike its words are in {similarity}"),
    ];
    let json =
        json!({ "rows": arguments.rows, "out": out, "analogies": analogies, "similarity": similarity });
    Results::new(json).lines(lines).print(context.json())
}
