//! librdkafka's mock cluster as the demo's broker.

use std::time::Duration;

use rdkafka::mocking::MockCluster;

use crate::error::{ExitCode, ProcessError};

/// A broker in the process. Its topics get enough partitions that the 5 MiB it retains of each are
/// never reached.
pub(super) struct Broker {
    cluster: MockCluster<'static, rdkafka::producer::DefaultProducerContext>,
}

const BROKER: i32 = 1;

impl Broker {
    pub(super) fn start(topics: &[(&str, i32)]) -> Result<Self, ProcessError> {
        let failed = |error| ProcessError::new(ExitCode::Internal, &error);
        let cluster = MockCluster::new(1).map_err(failed)?;
        for (topic, partitions) in topics {
            cluster.create_topic(topic, *partitions, 1).map_err(failed)?;
        }
        Ok(Self { cluster })
    }

    pub(super) fn bootstrap_servers(&self) -> String {
        self.cluster.bootstrap_servers()
    }

    /// Takes the broker away for a while.
    pub(super) async fn away(&self, duration: Duration) -> Result<(), ProcessError> {
        let failed = |error| ProcessError::new(ExitCode::Internal, &error);
        self.cluster.broker_down(BROKER).map_err(failed)?;
        tokio::time::sleep(duration).await;
        self.cluster.broker_up(BROKER).map_err(failed)
    }
}
