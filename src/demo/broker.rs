//! librdkafka's mock cluster as the demo's broker.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::mocking::MockCluster;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

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

    /// Commits an offset as a consumer of the group would. Blocks.
    pub(super) fn commit(
        &self,
        group: &str,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> Result<(), ProcessError> {
        let failed = |error| ProcessError::new(ExitCode::Internal, &error);
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.bootstrap_servers()).set("group.id", group);
        let consumer: BaseConsumer = config.create().map_err(failed)?;
        let mut offsets = TopicPartitionList::new();
        let at = Offset::Offset(offset);
        offsets.add_partition_offset(topic, partition, at).map_err(failed)?;
        consumer.commit(&offsets, CommitMode::Sync).map_err(failed)
    }

    /// Takes the broker away for a while.
    pub(super) async fn away(&self, duration: Duration) -> Result<(), ProcessError> {
        let failed = |error| ProcessError::new(ExitCode::Internal, &error);
        self.cluster.broker_down(BROKER).map_err(failed)?;
        tokio::time::sleep(duration).await;
        self.cluster.broker_up(BROKER).map_err(failed)
    }
}
