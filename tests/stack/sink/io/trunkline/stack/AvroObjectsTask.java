package io.trunkline.stack;

import io.apicurio.registry.utils.converter.avro.AvroData;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.connect.errors.RetriableException;
import org.apache.kafka.connect.sink.SinkRecord;
import org.apache.kafka.connect.sink.SinkTask;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.S3ClientBuilder;

/** One open file for each partition; offsets are committed when the file is in S3, never before. */
public class AvroObjectsTask extends SinkTask {
    private static final Logger LOG = LoggerFactory.getLogger(AvroObjectsTask.class);
    private static final int RETRY_MS = 2_000;

    private final AvroData avro = new AvroData(1_000);
    private final Map<TopicPartition, OpenFile> open = new HashMap<>();
    /** The next offset that was not taken yet: a batch comes again after an upload failed. */
    private final Map<TopicPartition, Long> next = new HashMap<>();
    private final Map<TopicPartition, Long> stored = new HashMap<>();
    private S3Client s3;
    private Map<String, String> settings;
    private int flushSize;
    private long rotateMs;
    private long scheduleMs;

    @Override
    public String version() {
        return "1";
    }

    @Override
    public void start(Map<String, String> given) {
        settings = given;
        flushSize = Integer.parseInt(given.get("flush.size"));
        rotateMs = Long.parseLong(given.getOrDefault("rotate.interval.ms", "-1"));
        scheduleMs = Long.parseLong(given.getOrDefault("rotate.schedule.interval.ms", "-1"));
        S3ClientBuilder client = S3Client.builder().region(Region.of(given.get("s3.region"))).forcePathStyle(true);
        if (given.containsKey("store.url")) {
            client.endpointOverride(URI.create(given.get("store.url")));
        }
        s3 = client.build();
    }

    @Override
    public void stop() {
        if (s3 != null) {
            s3.close();
        }
    }

    @Override
    public void close(Collection<TopicPartition> partitions) {
        for (TopicPartition partition : partitions) {
            open.remove(partition);
            next.remove(partition);
            stored.remove(partition);
        }
    }

    @Override
    public void put(Collection<SinkRecord> records) {
        for (SinkRecord record : records) {
            TopicPartition place = new TopicPartition(record.topic(), record.kafkaPartition());
            if (record.kafkaOffset() >= next.getOrDefault(place, 0L)) {
                take(place, record);
                next.put(place, record.kafkaOffset() + 1);
            }
        }
        if (scheduleMs > 0) {
            long turn = System.currentTimeMillis() / scheduleMs;
            for (TopicPartition place : List.copyOf(open.keySet())) {
                if (open.get(place).openedMs / scheduleMs < turn) {
                    store(place, "scheduled");
                }
            }
        }
    }

    private void take(TopicPartition place, SinkRecord record) {
        OpenFile file = open.get(place);
        if (record.value() == null) {
            if (file == null) {
                stored.put(place, record.kafkaOffset() + 1);
            } else {
                file.end = record.kafkaOffset() + 1;
            }
            return;
        }
        Schema schema = avro.fromConnectSchema(record.valueSchema());
        if (file != null) {
            String why = file.endsBefore(record, schema, flushSize, rotateMs);
            if (why != null) {
                store(place, why);
                file = null;
            }
        }
        try {
            if (file == null) {
                file = new OpenFile(record, schema, settings.get("avro.codec"));
                open.put(place, file);
            }
            file.add(avro.fromConnectData(record.valueSchema(), record.value()), record.kafkaOffset());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private void store(TopicPartition place, String why) {
        OpenFile file = open.get(place);
        String delim = settings.get("file.delim");
        String name = place.topic() + delim + place.partition() + delim + String.format("%010d", file.start) + ".avro";
        String key = String.join("/", settings.get("topics.dir"), place.topic(), file.folder, name);
        try {
            s3.putObject(put -> put.bucket(settings.get("s3.bucket.name")).key(key), RequestBody.fromBytes(file.bytes()));
        } catch (SdkException e) {
            LOG.warn("{} cannot be stored, again in {} ms: {}", key, RETRY_MS, e.getMessage());
            context.timeout(RETRY_MS);
            throw new RetriableException(e);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        LOG.info("stored {}: {} records, ended by {}", key, file.count, why);
        open.remove(place);
        stored.put(place, file.end);
    }

    @Override
    public Map<TopicPartition, OffsetAndMetadata> preCommit(Map<TopicPartition, OffsetAndMetadata> taken) {
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        stored.forEach((place, end) -> offsets.put(place, new OffsetAndMetadata(end)));
        return offsets;
    }
}
