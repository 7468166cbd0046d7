package io.trunkline.stack;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import org.apache.avro.Schema;
import org.apache.avro.file.CodecFactory;
import org.apache.avro.file.DataFileWriter;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.kafka.connect.sink.SinkRecord;

/** An Avro file that is being filled: records of one partition, one hour and one schema. */
class OpenFile {
    private static final DateTimeFormatter FOLDER = DateTimeFormatter.ofPattern("'dt='yyyy-MM-dd/'hr='HH").withZone(ZoneOffset.UTC);

    final String folder;
    final long start;
    final long openedMs = System.currentTimeMillis();
    long end;
    int count;
    private final long firstMs;
    private final Schema schema;
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    private final DataFileWriter<Object> writer = new DataFileWriter<>(new GenericDatumWriter<>());

    OpenFile(SinkRecord first, Schema schema, String codec) throws IOException {
        folder = folderOf(first);
        start = first.kafkaOffset();
        firstMs = first.timestamp();
        this.schema = schema;
        writer.setCodec(CodecFactory.fromString(codec));
        writer.create(schema, bytes);
    }

    private static String folderOf(SinkRecord record) {
        return FOLDER.format(Instant.ofEpochMilli(record.timestamp()));
    }

    /** Why the file ends before this record; null when the record belongs into it. */
    String endsBefore(SinkRecord record, Schema of, int flushSize, long rotateMs) {
        if (count >= flushSize) {
            return "flush size";
        }
        if (!folder.equals(folderOf(record))) {
            return "another hour";
        }
        if (rotateMs > 0 && record.timestamp() - firstMs >= rotateMs) {
            return "record time";
        }
        return schema.equals(of) ? null : "another schema";
    }

    void add(Object value, long offset) throws IOException {
        writer.append(value);
        count++;
        end = offset + 1;
    }

    /** The whole file; may be asked for again. */
    byte[] bytes() throws IOException {
        writer.flush();
        return bytes.toByteArray();
    }
}
