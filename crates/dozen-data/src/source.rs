//! Opening a file, whatever it is compressed with, and telling its format from its first bytes.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};

use crate::DataError;
use crate::packed::{Counted, Unpacked};

/// What a file holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Format {
    Delimited,
    Parquet,
    Npy,
    Npz {
        key: Option<String>,
    },
    Idx,
    /// An archive of images, or of one folder of it.
    Tar {
        under: Option<String>,
    },
}

/// A file's bytes, decompressed.
pub type Stream = Box<dyn BufRead + Send>;

/// The ending of a file's name in small letters, less that of its compression; empty where there is none.
pub fn ending(path: &str) -> String {
    let lower = path.to_ascii_lowercase();
    let name = [".gz", ".bz2", ".zst"].iter().find_map(|end| lower.strip_suffix(end)).unwrap_or(&lower);
    name.rsplit_once('.').map_or_else(String::new, |(_, ending)| ending.to_owned())
}

/// Splits `data.npz:key` into the file and the key, and `images.tar.gz:folder`; other paths have no key.
pub(crate) fn split_key(path: &str) -> (&str, Option<&str>) {
    match path.rsplit_once(':') {
        Some((file, key)) if file.to_ascii_lowercase().ends_with(".npz") || is_tar(file) => (file, Some(key)),
        _ => (path, None),
    }
}

fn is_tar(file: &str) -> bool {
    ending(file) == "tar" || ending(file) == "tgz"
}

/// Opens a file (`-` for standard input), decompressing gzip, bzip2 and zstd as their first bytes tell.
pub fn open(path: &str) -> Result<Stream, DataError> {
    let raw: Stream = if path == "-" {
        Box::new(BufReader::new(std::io::stdin()))
    } else {
        Box::new(BufReader::with_capacity(1 << 20, open_file(path)?))
    };
    decompress(path, raw)
}

pub(crate) fn open_file(path: &str) -> Result<File, DataError> {
    let failed = |source| DataError::Io { action: "open", path: path.into(), source };
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.is_dir() {
        return Err(DataError::content(path, "", "this is a folder, where a file is needed"));
    }
    Ok(file)
}

fn decompress(path: &str, mut raw: Stream) -> Result<Stream, DataError> {
    let start = raw.fill_buf().map_err(|e| DataError::read(path, e))?;
    let packed = match start {
        [0x1f, 0x8b, ..] => Packed::Gzip,
        [b'B', b'Z', b'h', ..] => Packed::Bzip2,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Packed::Zstd,
        _ => return Ok(raw),
    };
    let (raw, taken) = Counted::new(raw);
    let inner: Box<dyn Read + Send> = match packed {
        Packed::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(raw)),
        Packed::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(raw)),
        Packed::Zstd => Box::new(zstd::Decoder::with_buffer(raw).map_err(|e| DataError::read(path, e))?),
    };
    Ok(Box::new(BufReader::with_capacity(1 << 18, Unpacked { inner, taken, given: 0 })))
}

/// How a file is packed.
enum Packed {
    Gzip,
    Bzip2,
    Zstd,
}

/// Tells the format from the first bytes of the decompressed stream, which are left unread.
pub(crate) fn format(path: &str, stream: &mut Stream) -> Result<Format, DataError> {
    let (file, key) = split_key(path);
    let start = stream.fill_buf().map_err(|e| DataError::read(path, e))?;
    let format = match start {
        [] => return Err(DataError::content(file, "", "the file is empty")),
        [b'P', b'A', b'R', b'1', ..] => Format::Parquet,
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => Format::Npy,
        [b'P', b'K', 3, 4, ..] => Format::Npz { key: key.map(str::to_owned) },
        [0, 0, 0x08..=0x0e, 1..=4, ..] => Format::Idx,
        // The mark of a tar archive stands in its first header.
        start if start.get(257..262) == Some(b"ustar") => Format::Tar { under: key.map(str::to_owned) },
        _ => Format::Delimited,
    };
    Ok(format)
}
