//! The same on many machines: Ballista's scheduler and executors, which know dozen's functions.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ballista::prelude::{SessionConfigExt, SessionContextExt};
use ballista_core::config::TaskSchedulingPolicy;
use ballista_core::registry::BallistaFunctionRegistry;
use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::SchedulerConfig;
use ballista_scheduler::scheduler_process::start_server;
use datafusion::execution::SessionStateBuilder;
use datafusion::functions_nested::all_default_nested_functions;
use datafusion::prelude::{SessionConfig, SessionContext};

use crate::{Error, Models, functions, register};

/// Seconds between an executor's signs of life.
const HEARTBEAT: u64 = 2;

/// Seconds without one after which it counts as lost, and its work is given to others.
const LOST_AFTER: u64 = 10;

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A name or a number.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl std::str::FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let split = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
        let (host, port) = split.ok_or_else(|| format!("`{text}` is no address; write HOST:PORT"))?;
        Ok(Self { host: host.to_owned(), port })
    }
}

/// A context whose queries a scheduler plans and executors run. Those read files by the same paths. Tables have names of
/// their own here: names of files do not come through to the scheduler.
///
/// # Errors
/// When the address is none. Whether somebody listens there shows with the first query.
pub async fn remote(
    scheduler: &Address,
    models: Arc<Models>,
    partitions: usize,
) -> Result<SessionContext, Error> {
    // Ballista 55 gives the rows of a sorted union twice when it plans as it goes.
    let config = SessionConfig::new_with_ballista()
        .with_target_partitions(partitions)
        .with_information_schema(true)
        .with_ballista_adaptive_query_planner(false);
    let state = SessionStateBuilder::new().with_config(config).with_default_features().build();
    let url = format!("df://{}:{}", scheduler.host, scheduler.port);
    let mut context = SessionContext::remote_with_state(&url, state).await?;
    register(&mut context, &models)?;
    Ok(context)
}

/// Runs a scheduler until the process is ended.
///
/// # Errors
/// When the port cannot be had.
pub async fn scheduler(address: SocketAddr, models: Arc<Models>) -> Result<(), Error> {
    let build = move |config: SessionConfig| {
        let mut state = SessionStateBuilder::new().with_config(config).with_default_features().build();
        register(&mut state, &models)?;
        Ok(state)
    };
    let mut config = SchedulerConfig::default()
        .with_hostname(address.ip().to_string())
        .with_port(address.port())
        .with_scheduler_policy(TaskSchedulingPolicy::PushStaged)
        .with_override_config_producer(Arc::new(SessionConfig::new_with_ballista))
        .with_override_session_builder(Arc::new(build));
    config.bind_host = address.ip().to_string();
    config.executor_timeout_seconds = LOST_AFTER;
    config.expire_dead_executor_interval_seconds = HEARTBEAT;
    config.no_executors_grace_period_seconds = 6 * LOST_AFTER;
    let cluster = BallistaCluster::new_from_config(&config).await.map_err(failed)?;
    start_server(cluster, address, Arc::new(config)).await.map_err(failed)
}

/// What an executor needs to know.
#[derive(Clone, Debug)]
pub struct Executor {
    /// Where the scheduler is.
    pub scheduler: Address,
    /// The address of this machine that others reach it by.
    pub host: IpAddr,
    /// For data.
    pub port: u16,
    /// For orders.
    pub control_port: u16,
    /// How many tasks run at once.
    pub tasks: usize,
    /// Bytes of memory for all tasks together; more goes through files.
    pub memory: Option<u64>,
    /// Where results between stages go.
    pub work: PathBuf,
}

/// Runs an executor until the process is ended.
///
/// # Errors
/// When no scheduler answers within a minute, or a port cannot be had.
pub async fn executor(executor: Executor, models: Arc<Models>) -> Result<(), Error> {
    let mut registry = BallistaFunctionRegistry::default();
    let nested = all_default_nested_functions().into_iter().chain(functions::scalar(&models));
    registry.scalar_functions.extend(nested.map(|function| (function.name().to_owned(), function)));
    let aggregate = functions::aggregate();
    registry.aggregate_functions.insert(aggregate.name().to_owned(), aggregate);
    let config = ExecutorProcessConfig {
        bind_host: executor.host.to_string(),
        external_host: Some(executor.host.to_string()),
        port: executor.port,
        grpc_port: executor.control_port,
        scheduler_host: executor.scheduler.host,
        scheduler_port: executor.scheduler.port,
        scheduler_connect_timeout_seconds: 60,
        vcores: executor.tasks,
        task_scheduling_policy: TaskSchedulingPolicy::PushStaged,
        work_dir: Some(executor.work.display().to_string()),
        executor_heartbeat_interval_seconds: HEARTBEAT,
        memory_pool_size: executor.memory,
        override_config_producer: Some(Arc::new(SessionConfig::new_with_ballista)),
        override_function_registry: Some(Arc::new(registry)),
        ..ExecutorProcessConfig::default()
    };
    start_executor_process(Arc::new(config)).await.map_err(failed)
}

/// Waits until somebody listens at an address.
///
/// # Errors
/// When nobody does within the time.
pub async fn wait_for(address: &Address, time: Duration) -> Result<(), Error> {
    let until = std::time::Instant::now() + time;
    loop {
        match tokio::net::TcpStream::connect((address.host.as_str(), address.port)).await {
            Ok(_) => return Ok(()),
            Err(error) if std::time::Instant::now() > until => {
                let Address { host, port } = address;
                return Err(Error::Cluster(format!("nobody answers at {host}:{port}: {error}")));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

fn failed(error: ballista_core::error::BallistaError) -> Error {
    Error::Cluster(error.to_string())
}
