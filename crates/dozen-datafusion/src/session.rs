//! The engine on this machine.

use std::sync::Arc;

use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};

use crate::{Error, Models, register};

/// A context in this process that knows all functions, and files by their names in quotes (`FROM 'rows.parquet'`). With a
/// bound on its memory in bytes, sorts, joins and groups that need more go through files in the system's temporary folder.
///
/// # Errors
/// When the engine does not start.
pub fn local(models: Arc<Models>, memory: Option<usize>) -> Result<SessionContext, Error> {
    let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::OsTmpDirectory);
    let mut runtime = RuntimeEnvBuilder::new().with_disk_manager_builder(disk);
    if let Some(bytes) = memory {
        runtime = runtime.with_memory_pool(Arc::new(FairSpillPool::new(bytes)));
    }
    let config = SessionConfig::new().with_information_schema(true);
    let mut context = SessionContext::new_with_config_rt(config, runtime.build_arc()?).enable_url_table();
    register(&mut context, &models)?;
    Ok(context)
}
