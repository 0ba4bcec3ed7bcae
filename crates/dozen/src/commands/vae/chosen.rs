//! Which columns an autoencoder models, and what its condition reaches.

use clap::Args;
use dozen::data::{Schema, Table};
use dozen::generative::vae::Likelihood;

use super::shape::Conditional;
use crate::columns::{ColumnArguments, Columns, unit_interval};
use crate::output::Failure;

#[derive(Args, Debug)]
pub(super) struct Chosen {
    /// Make the model conditional on the classes: through the prior's means, or through encoder and decoder
    #[arg(long, value_enum, value_name = "HOW", num_args = 0..=1, default_missing_value = "means", help_heading = "Columns")]
    conditional: Option<Conditional>,
    #[command(flatten)]
    pub(super) columns: ColumnArguments,
}

impl Chosen {
    /// What the condition reaches; naming its columns is asking for one.
    pub(super) fn conditional(&self) -> Option<Conditional> {
        self.conditional.or(self.columns.names_condition().then_some(Conditional::Networks))
    }

    pub(super) fn choose(
        &self,
        table: &Table,
        categorical: &[String],
        likelihood: Likelihood,
    ) -> Result<Columns, Failure> {
        let unit = matches!(likelihood, Likelihood::Bernoulli | Likelihood::ContinuousBernoulli);
        self.columns.choose(table, categorical, self.conditional().is_some(), |table, image, categorical| {
            if image || unit { unit_interval(table, image) } else { Ok(Schema::infer(table, categorical)?) }
        })
    }
}
