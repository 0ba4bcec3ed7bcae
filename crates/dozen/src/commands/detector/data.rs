//! Boxes with their images, as all commands about detectors read them.

use std::path::PathBuf;

use clap::Args;
use dozen::vision::detection::{DetectionSet, Pictured};

use crate::context::Context;
use crate::output::Failure;

/// Where the images are.
#[derive(Args, Debug)]
pub(super) struct Images {
    /// Where the images are, for COCO files and tables [default: beside the file]
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,
    /// Fail where a box or an image cannot be used, instead of leaving it out
    #[arg(long)]
    strict: bool,
}

impl Images {
    /// Reads a set with its images, of the categories that are known where these are given, and says what is left out.
    pub(super) fn read(
        &self,
        data: &str,
        known: Option<&[String]>,
        context: &Context,
    ) -> Result<Pictured, Failure> {
        let pictured = Pictured::read(DetectionSet::read(data, self.images.as_deref(), known)?)?;
        let left_out = &pictured.set().left_out;
        if let Some(first) = left_out.first().filter(|_| self.strict) {
            return Err(Failure::request(format!("{first}; without --strict it is left out")));
        }
        for problem in left_out {
            context.progress().say(&format!("left out: {problem}"));
        }
        Ok(pictured)
    }
}
