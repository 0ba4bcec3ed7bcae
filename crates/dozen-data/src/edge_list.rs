//! Graphs as lists of edges: tables, DIMACS, Matrix Market, METIS, and the sparse matrices that SciPy saves; and TSPLIB's
//! points.

use std::collections::HashMap;
use std::str::FromStr;

use crate::error::quoted;
use crate::limits::{check_nodes, read_line};
use crate::source::{Stream, ending, open};
use crate::{Column, DataError, ReadOptions, Table, Values, open_table, read_table};

/// A weighted graph as it stands in a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EdgeList {
    /// How many nodes there are; edges name them from 0.
    pub nodes: usize,
    /// One end of each edge.
    pub sources: Vec<u32>,
    /// The other.
    pub targets: Vec<u32>,
    /// What it weighs; one where the file says nothing.
    pub weights: Vec<f64>,
    /// What the file calls the nodes, where it does not count them from 0.
    pub names: Vec<String>,
}

impl EdgeList {
    fn push(&mut self, source: u32, target: u32, weight: f64) {
        self.sources.push(source);
        self.targets.push(target);
        self.weights.push(weight);
    }

    /// What the file calls a node.
    pub fn name(&self, node: u32) -> String {
        self.names.get(node as usize).cloned().unwrap_or_else(|| node.to_string())
    }
}

/// Reads a graph. The format is told by the file's name, less the ending of its compression: `.gr` is DIMACS, `.mtx` Matrix
/// Market, `.metis` and `.graph` METIS, `.npz` a sparse matrix of SciPy's; all else is a table whose first two columns are
/// the ends, as whole numbers from 0 or as names, and whose third, if there is one, is the weight. Where columns are called
/// `u` and `v`, or `source` and `target`, or `from` and `to`, and `weight`, `cost` or `distance`, those are taken.
///
/// # Errors
/// When the file cannot be read, or its contents are no graph: with the line.
pub fn read_edge_list(path: &str, options: &ReadOptions) -> Result<EdgeList, DataError> {
    match &ending(path)[..] {
        "gr" => dimacs(path, open(path)?),
        "mtx" => matrix_market(path, open(path)?),
        "metis" | "graph" => metis(path, open(path)?),
        "npz" => sparse(path),
        _ => table(path, options),
    }
}

/// Reads the points of a TSPLIB file as the columns `x` and `y`.
///
/// # Errors
/// When the file cannot be read, or has no coordinates.
pub fn read_tsplib(path: &str) -> Result<Table, DataError> {
    let mut columns = [Vec::new(), Vec::new()];
    let mut inside = false;
    let mut lines = Lines::new(path, open(path)?);
    while let Some(line) = lines.next()? {
        let line = line.trim();
        if line == "NODE_COORD_SECTION" {
            inside = true;
        } else if line == "EOF" || (inside && line.ends_with("SECTION")) {
            break;
        } else if inside && !line.is_empty() {
            let mut words = line.split_ascii_whitespace().skip(1);
            for column in &mut columns {
                let value: f64 = lines.parse(words.next(), "a coordinate")?;
                if !value.is_finite() {
                    return Err(lines.wrong(format!("{value} is not a finite number")));
                }
                column.push(value);
            }
        }
    }
    if columns[0].is_empty() {
        return Err(DataError::content(path, "", "there is no NODE_COORD_SECTION with points"));
    }
    let [x, y] = columns;
    Ok(Table::new(vec![Column::new("x", Values::Number(x)), Column::new("y", Values::Number(y))])?
        .from_file(path, 1))
}

/// A file's lines, counted.
struct Lines<'a> {
    file: &'a str,
    stream: Stream,
    buffer: Vec<u8>,
    line: usize,
}

impl<'a> Lines<'a> {
    fn new(file: &'a str, stream: Stream) -> Self {
        Self { file, stream, buffer: Vec::new(), line: 0 }
    }

    /// The next line without its end; none at the end of the file.
    fn next(&mut self) -> Result<Option<String>, DataError> {
        self.buffer.clear();
        self.line += 1;
        let read =
            read_line(&mut self.stream, &mut self.buffer).map_err(|e| DataError::read(self.file, e))?;
        if read == 0 {
            return Ok(None);
        }
        let text = std::str::from_utf8(&self.buffer).map_err(|_| self.wrong("this is not UTF-8 text"))?;
        Ok(Some(text.trim_end_matches(['\n', '\r']).to_owned()))
    }

    fn wrong(&self, problem: impl Into<String>) -> DataError {
        DataError::content(self.file, format!("line {}", self.line), problem)
    }

    fn parse<T: FromStr>(&self, word: Option<&str>, what: &str) -> Result<T, DataError> {
        let word = word.ok_or_else(|| self.wrong(format!("{what} is missing")))?;
        word.parse().map_err(|_| self.wrong(format!("{} is not {what}", quoted(word.as_bytes()))))
    }

    /// A node counted from one.
    fn node(&self, word: Option<&str>, nodes: usize) -> Result<u32, DataError> {
        let node: u64 = self.parse(word, "a node's number")?;
        if node == 0 || node > nodes as u64 {
            return Err(self.wrong(format!("node {node} is outside of the {nodes} nodes, counted from 1")));
        }
        Ok((node - 1) as u32)
    }

    fn weight(&self, word: Option<&str>) -> Result<f64, DataError> {
        let weight: f64 = self.parse(word, "a weight")?;
        if weight.is_nan() {
            Err(self.wrong("the weight is NaN, which cannot be compared"))
        } else {
            Ok(weight)
        }
    }

    fn nodes(&self, word: Option<&str>) -> Result<usize, DataError> {
        let nodes: u64 = self.parse(word, "a number of nodes")?;
        if nodes >= u64::from(u32::MAX) {
            return Err(self.wrong(format!("{nodes} nodes are more than 32 bits count")));
        }
        Ok(nodes as usize)
    }

    /// Edges must be as many as the file said.
    fn count(&self, found: usize, said: usize) -> Result<(), DataError> {
        if found == said {
            return Ok(());
        }
        let problem = format!("there are {found} edges where the file says {said}; it may be cut off");
        Err(DataError::content(self.file, "", problem))
    }
}

/// `p sp NODES ARCS`, then `a FROM TO WEIGHT`, nodes counted from 1.
fn dimacs(path: &str, stream: Stream) -> Result<EdgeList, DataError> {
    let mut lines = Lines::new(path, stream);
    let mut list = EdgeList::default();
    let mut said = None;
    while let Some(line) = lines.next()? {
        let mut words = line.split_ascii_whitespace();
        match words.next() {
            None | Some("c") => {}
            Some("p") => {
                words.next();
                list.nodes = lines.nodes(words.next())?;
                said = Some(lines.parse(words.next(), "a number of arcs")?);
            }
            Some("a" | "e") if said.is_some() => {
                let (from, to) =
                    (lines.node(words.next(), list.nodes)?, lines.node(words.next(), list.nodes)?);
                let weight = words.next().map_or(Ok(1.0), |word| lines.weight(Some(word)))?;
                list.push(from, to, weight);
            }
            Some(other) => {
                return Err(
                    lines.wrong(format!("`{other}` is no DIMACS line; those are c, one p, then a or e"))
                );
            }
        }
    }
    let said = said.ok_or_else(|| DataError::content(path, "", "there is no line `p sp NODES ARCS`"))?;
    lines.count(list.weights.len(), said)?;
    check_nodes(path, list.nodes, list.weights.len())?;
    Ok(list)
}

/// `%%MatrixMarket matrix coordinate ...`, then rows, columns and entries counted from 1.
fn matrix_market(path: &str, stream: Stream) -> Result<EdgeList, DataError> {
    let mut lines = Lines::new(path, stream);
    let head = lines.next()?.unwrap_or_default().to_ascii_lowercase();
    if !head.starts_with("%%matrixmarket matrix coordinate") {
        return Err(
            lines.wrong("this is not the head of a sparse matrix, `%%MatrixMarket matrix coordinate ...`")
        );
    }
    if head.contains("complex") {
        return Err(lines.wrong("complex numbers are no weights"));
    }
    let pattern = head.contains("pattern");
    let mut list = EdgeList::default();
    let mut said = None;
    while let Some(line) = lines.next()? {
        let mut words = line.split_ascii_whitespace();
        if line.starts_with('%') || line.trim().is_empty() {
            continue;
        }
        if said.is_none() {
            let (rows, columns) = (lines.nodes(words.next())?, lines.nodes(words.next())?);
            if rows != columns {
                return Err(lines.wrong(format!("a graph's matrix is square, not {rows} x {columns}")));
            }
            list.nodes = rows;
            said = Some(lines.parse(words.next(), "a number of entries")?);
            continue;
        }
        let (from, to) = (lines.node(words.next(), list.nodes)?, lines.node(words.next(), list.nodes)?);
        let weight = if pattern { 1.0 } else { lines.weight(words.next())? };
        list.push(from, to, weight);
    }
    let said = said.ok_or_else(|| DataError::content(path, "", "there is no line of sizes"))?;
    lines.count(list.weights.len(), said)?;
    check_nodes(path, list.nodes, list.weights.len())?;
    Ok(list)
}

/// `NODES EDGES [FORMAT [CONSTRAINTS]]`, then each node's neighbours, counted from 1, with the weights of edges if the
/// format's last digit is 1; each edge stands with both of its ends.
fn metis(path: &str, stream: Stream) -> Result<EdgeList, DataError> {
    let mut lines = Lines::new(path, stream);
    let mut list = EdgeList::default();
    let mut head = None;
    let mut node = 0_u32;
    while let Some(line) = lines.next()? {
        if line.starts_with('%') {
            continue;
        }
        let mut words = line.split_ascii_whitespace();
        let Some((_, weighted, skipped)) = head else {
            list.nodes = lines.nodes(words.next())?;
            let edges: usize = lines.parse(words.next(), "a number of edges")?;
            let format = words.next().unwrap_or("0");
            let vertex_weights = format.chars().rev().nth(1) == Some('1');
            let sizes = format.chars().rev().nth(2) == Some('1');
            let constraints: usize =
                words.next().map_or(Ok(1), |word| lines.parse(Some(word), "a number"))?;
            let skipped = usize::from(sizes) + if vertex_weights { constraints } else { 0 };
            head = Some((edges, format.ends_with('1'), skipped));
            continue;
        };
        if node as usize >= list.nodes {
            if words.next().is_some() {
                return Err(lines.wrong(format!("there are more lines than the {} nodes", list.nodes)));
            }
            continue;
        }
        let mut words = words.skip(skipped);
        while let Some(word) = words.next() {
            let to = lines.node(Some(word), list.nodes)?;
            let weight = if weighted { lines.weight(words.next())? } else { 1.0 };
            if node <= to {
                list.push(node, to, weight);
            }
        }
        node += 1;
    }
    let (said, ..) = head.ok_or_else(|| DataError::content(path, "", "the file is empty"))?;
    if (node as usize) < list.nodes {
        let problem = format!("there are {node} lines for {} nodes; it may be cut off", list.nodes);
        return Err(DataError::content(path, "", problem));
    }
    lines.count(list.weights.len(), said)?;
    Ok(list)
}

/// What `scipy.sparse.save_npz` writes: CSR, CSC (the same graph) or COO.
fn sparse(path: &str) -> Result<EdgeList, DataError> {
    let array = |key: &str| -> Result<Vec<f64>, DataError> {
        let table = read_table(&format!("{path}:{key}"), &ReadOptions::default())?;
        let values = &table.columns()[0].values;
        Ok((0..values.len()).filter_map(|row| values.number(row)).collect())
    };
    let shape = array("shape")?;
    let nodes = shape.first().copied().unwrap_or(0.0);
    if shape.len() != 2 || shape[0] != shape[1] || nodes >= f64::from(u32::MAX) {
        return Err(DataError::content(
            path,
            "array `shape`",
            format!("{shape:?} is not the shape of a graph"),
        ));
    }
    // An array without rows cannot be read as a table, and a graph without edges has such arrays.
    let weights = array("data")?;
    check_nodes(path, nodes as usize, weights.len())?;
    let (sources, targets) = if let Ok(starts) = array("indptr") {
        let rises = starts.windows(2).all(|pair| pair[0] <= pair[1]);
        let ends = [starts.first().copied(), starts.last().copied()];
        if starts.len() != nodes as usize + 1 || !rises || ends != [Some(0.0), Some(weights.len() as f64)] {
            return Err(DataError::content(
                path,
                "array `indptr`",
                format!("its numbers do not rise from row to row, from 0 to the {} of `data`", weights.len()),
            ));
        }
        let rows = starts.windows(2).enumerate();
        let rows = rows.flat_map(|(row, pair)| std::iter::repeat_n(row as f64, (pair[1] - pair[0]) as usize));
        (rows.collect(), array("indices")?)
    } else {
        (array("row")?, array("col")?)
    };
    if sources.len() != weights.len() || targets.len() != weights.len() {
        return Err(DataError::content(path, "", "its arrays do not have an end for each weight"));
    }
    let mut list = EdgeList { nodes: nodes as usize, ..EdgeList::default() };
    for (index, ((from, to), weight)) in sources.iter().zip(&targets).zip(weights).enumerate() {
        if !(0.0..nodes).contains(from) || !(0.0..nodes).contains(to) {
            let problem = format!("it joins {from} and {to}, and there are {nodes} nodes, counted from 0");
            return Err(DataError::content(path, format!("entry {index}"), problem));
        }
        list.push(*from as u32, *to as u32, weight);
    }
    Ok(list)
}

/// Names that columns of ends and weights have.
const ENDS: [(&str, &str); 3] = [("u", "v"), ("source", "target"), ("from", "to")];
const WEIGHTS: [&str; 3] = ["weight", "cost", "distance"];

/// The columns of a table that are the ends, and that of the weights.
fn edge_columns(table: &Table) -> Result<(&Column, &Column, Option<&Column>), DataError> {
    let columns = table.columns();
    let named = ENDS.iter().find_map(|(u, v)| Some((table.column(u)?, table.column(v)?)));
    let (u, v) = match (named, columns) {
        (Some(ends), _) => ends,
        (None, [u, v, ..]) => (u, v),
        _ => {
            let problem = "edges have two columns of ends, and perhaps one of weights";
            return Err(DataError::content(table.file(), "", problem));
        }
    };
    let weight = WEIGHTS.iter().find_map(|name| table.column(name));
    let weight = weight.or(if named.is_none() { columns.get(2) } else { None });
    match weight {
        Some(Column { name, values: Values::Text(_) }) => {
            let problem = "it holds text where weights are expected";
            Err(DataError::content(table.file(), format!("column `{name}`"), problem))
        }
        _ => Ok((u, v, weight)),
    }
}

/// Adds a weight for each row.
fn add_weights(weights: &mut Vec<f64>, rows: usize, column: Option<&Column>) {
    match column {
        Some(column) => weights.extend((0..rows).filter_map(|row| column.values.number(row))),
        None => weights.resize(weights.len() + rows, 1.0),
    }
}

fn table(path: &str, options: &ReadOptions) -> Result<EdgeList, DataError> {
    // Standard input can be read only once, and is read whole.
    let numbered = if path == "-" { None } else { numbered(path, options)? };
    match numbered {
        Some(list) => Ok(list),
        None => named(&read_table(path, options)?),
    }
}

/// Nodes with whole numbers, read in chunks, so that the table is never there as a whole; none where they are names, or
/// numbers so far beyond the number of edges that they must be names, most nodes in between being none.
fn numbered(path: &str, options: &ReadOptions) -> Result<Option<EdgeList>, DataError> {
    const ROWS: usize = 1 << 14;
    let mut list = EdgeList::default();
    for table in open_table(path, options, ROWS)? {
        let table = table?;
        let (u, v, weight) = edge_columns(&table)?;
        for (column, ends) in [(u, &mut list.sources), (v, &mut list.targets)] {
            for row in 0..table.rows() {
                match column.values.number(row) {
                    Some(node) if node.fract() == 0.0 && (0.0..f64::from(u32::MAX)).contains(&node) => {
                        ends.push(node as u32);
                    }
                    _ => return Ok(None),
                }
            }
        }
        add_weights(&mut list.weights, table.rows(), weight);
    }
    let greatest = list.sources.iter().chain(&list.targets).copied().max().unwrap_or(0);
    list.nodes = greatest as usize + 1;
    Ok((list.nodes <= 8 * list.weights.len() + (1 << 20)).then_some(list))
}

/// Nodes with names, numbered as they come.
fn named(table: &Table) -> Result<EdgeList, DataError> {
    let (u, v, weight) = edge_columns(table)?;
    let mut list = EdgeList::default();
    add_weights(&mut list.weights, table.rows(), weight);
    let mut numbers: HashMap<String, u32> = HashMap::new();
    let mut number = |name: String| {
        let next = numbers.len() as u32;
        *numbers.entry(name).or_insert_with_key(|name| {
            list.names.push(name.clone());
            next
        })
    };
    for row in 0..table.rows() {
        let (source, target) = (number(u.values.text(row)), number(v.values.text(row)));
        list.sources.push(source);
        list.targets.push(target);
    }
    list.nodes = list.names.len();
    Ok(list)
}
