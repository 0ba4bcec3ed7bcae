//! Files and folders as tables.

use std::path::{Path, PathBuf};

use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::prelude::{CsvReadOptions, JsonReadOptions, ParquetReadOptions, SessionContext};
use dozen_datafusion::Error;

/// Makes a file or folder a table.
pub(crate) async fn register(context: &SessionContext, name: &str, path: &Path) -> Result<(), String> {
    let whole = path.canonicalize().map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
    let ending = ending(&whole)?;
    let whole = whole.display().to_string();
    let dotted = format!(".{ending}");
    let registered = match ending.as_str() {
        "parquet" => context.register_parquet(name, &whole, ParquetReadOptions::default()).await,
        "csv" => context.register_csv(name, &whole, CsvReadOptions::new()).await,
        "tsv" => {
            let options = CsvReadOptions::new().delimiter(b'\t').file_extension(&dotted);
            context.register_csv(name, &whole, options).await
        }
        "json" | "jsonl" | "ndjson" => {
            context.register_json(name, &whole, JsonReadOptions::default().file_extension(&dotted)).await
        }
        // Each line is a text: neither a delimiter nor quotes stand in any.
        "txt" => {
            let schema = Schema::new(vec![Field::new("text", DataType::Utf8, true)]);
            let options = CsvReadOptions::new().has_header(false).delimiter(1).quote(0).schema(&schema);
            context.register_csv(name, &whole, options.file_extension(&dotted)).await
        }
        other => {
            return Err(format!(
                "`{whole}` ends in .{other}; tables are .parquet, .csv, .tsv, .jsonl or .txt"
            ));
        }
    };
    registered.map_err(|error| Error::from(error).to_string())
}

/// The ending of a file, or of the first file of a folder.
fn ending(path: &Path) -> Result<String, String> {
    let of = |path: &Path| path.extension().map(|ending| ending.to_string_lossy().into_owned());
    let found = if path.is_dir() {
        let entries = std::fs::read_dir(path).map_err(|error| error.to_string())?;
        let mut files: Vec<PathBuf> =
            entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
        files.sort();
        files.iter().find_map(|file| of(file))
    } else {
        of(path)
    };
    found.ok_or_else(|| format!("`{}` has no ending that tells its format", path.display()))
}
