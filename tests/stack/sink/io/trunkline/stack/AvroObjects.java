package io.trunkline.stack;

import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.connect.connector.Task;
import org.apache.kafka.connect.sink.SinkConnector;

/**
 * Stands in for Confluent's S3 sink where that cannot be had: takes its keys, lays out the same folders and names, ends
 * files by the same rules. It knows Avro, the record's time and one folder an hour, and refuses values of keys that ask
 * for anything else. Not Confluent's code, and no proof of it.
 */
public class AvroObjects extends SinkConnector {
    /** Keys that may have one value only: what is laid out, and what the connectors here say. */
    private static final Map<String, Set<String>> ONLY = Map.ofEntries(
        Map.entry("storage.class", Set.of("io.confluent.connect.s3.storage.S3Storage")),
        Map.entry("format.class", Set.of("io.confluent.connect.s3.format.avro.AvroFormat")),
        Map.entry("partitioner.class", Set.of("io.confluent.connect.storage.partitioner.TimeBasedPartitioner")),
        Map.entry("partition.duration.ms", Set.of("3600000")),
        Map.entry("path.format", Set.of("'dt'=YYYY-MM-dd/'hr'=HH")),
        Map.entry("timezone", Set.of("UTC")),
        Map.entry("locale", Set.of("en-US")),
        Map.entry("timestamp.extractor", Set.of("Record")),
        Map.entry("connect.meta.data", Set.of("false")),
        Map.entry("enable.conditional.writes", Set.of("false")),
        Map.entry("behavior.on.null.values", Set.of("ignore")),
        Map.entry("report.null.values.to.dlq", Set.of("false")),
        Map.entry("schema.compatibility", Set.of("NONE", "BACKWARD")),
        Map.entry("avro.codec", Set.of("null", "deflate", "snappy", "bzip2")));
    private static final Set<String> NEEDED = Set.of("s3.bucket.name", "s3.region", "flush.size", "topics.dir", "file.delim");

    private Map<String, String> settings;

    @Override
    public void start(Map<String, String> given) {
        for (String key : NEEDED) {
            if (given.getOrDefault(key, "").isEmpty()) {
                throw new ConfigException(key, given.get(key), "it has to be said");
            }
        }
        ONLY.forEach((key, allowed) -> {
            if (!allowed.contains(given.getOrDefault(key, ""))) {
                throw new ConfigException(key, given.get(key), "this stand-in allows " + allowed);
            }
        });
        settings = given;
    }

    @Override
    public void stop() {}

    @Override
    public String version() {
        return "1";
    }

    @Override
    public Class<? extends Task> taskClass() {
        return AvroObjectsTask.class;
    }

    @Override
    public List<Map<String, String>> taskConfigs(int most) {
        return Collections.nCopies(most, settings);
    }

    @Override
    public ConfigDef config() {
        return new ConfigDef();
    }
}
