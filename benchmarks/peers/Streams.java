import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.avro.util.Utf8;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;

/**
 * The projection of the sample grant as a Kafka Streams application, exactly once: {@code java Streams FILE}.
 *
 * <p>FILE holds properties: the application's own, and as {@code streams.*} what Kafka Streams is told.
 */
public final class Streams {
    private final Properties told;
    private final Schema value;
    private final Schema row;
    private final Schema source;
    private final Schema key;
    private final GenericDatumReader<GenericRecord> reader;
    private final GenericDatumWriter<GenericRecord> keys;
    private final GenericDatumWriter<GenericRecord> values;
    private final ByteArrayOutputStream out = new ByteArrayOutputStream(512);
    private BinaryDecoder decoder;
    private BinaryEncoder encoder;

    private Streams(Properties told) {
        this.told = told;
        Schema writer = schema("writer");
        key = schema("key");
        value = schema("value");
        row = value.getField("row").schema().getTypes().get(1);
        source = value.getField("source").schema();
        reader = new GenericDatumReader<>(writer);
        keys = new GenericDatumWriter<>(key);
        values = new GenericDatumWriter<>(value);
    }

    public static void main(String[] arguments) throws IOException {
        Properties told = new Properties();
        try (var file = Files.newBufferedReader(Path.of(arguments[0]), StandardCharsets.UTF_8)) {
            told.load(file);
        }
        Properties settings = new Properties();
        told.forEach((name, value) -> {
            if (name.toString().startsWith("streams.")) {
                settings.put(name.toString().substring("streams.".length()), value);
            }
        });
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        Streams grant = new Streams(told);
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(told.getProperty("input"), Consumed.with(Serdes.ByteArray(), Serdes.ByteArray()))
            .flatMap((key, change) -> grant.seen(change))
            .to(told.getProperty("output"), Produced.with(Serdes.ByteArray(), Serdes.ByteArray()));
        KafkaStreams running = new KafkaStreams(builder.build(), settings);
        // nothing logs here, and a client that has failed would stay and do nothing
        running.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            Runtime.getRuntime().halt(1);
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        running.setStateListener((now, before) -> System.err.println("from " + before + " to " + now));
        Runtime.getRuntime().addShutdownHook(new Thread(running::close));
        running.start();
    }

    private Schema schema(String name) {
        return new Schema.Parser().parse(told.getProperty(name));
    }

    private List<KeyValue<byte[], byte[]>> seen(byte[] change) {
        try {
            decoder = DecoderFactory.get().binaryDecoder(change, 5, change.length - 5, decoder);
            GenericRecord envelope = reader.read(null, decoder);
            GenericRecord before = (GenericRecord) envelope.get("before");
            GenericRecord after = (GenericRecord) envelope.get("after");
            boolean was = sees(before);
            boolean is = sees(after);
            if (!was && !is) {
                return List.of();
            }
            List<KeyValue<byte[], byte[]>> made = new ArrayList<>(2);
            GenericRecord named = new GenericData.Record(key);
            named.put("id_number", (is ? after : before).get("id_number"));
            byte[] written = written("key_id", keys, named);
            String op = !is ? "d" : envelope.get("op").equals("r") ? "r" : was ? "u" : "c";
            made.add(KeyValue.pair(written, written("value_id", values, told(op, envelope, is ? shown(after) : null))));
            if (!is) {
                made.add(KeyValue.pair(written, null));
            }
            return made;
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    private static boolean sees(GenericRecord row) {
        return row != null && row.get("region") instanceof Utf8 region && region.toString().startsWith("3206");
    }

    private GenericRecord told(String op, GenericRecord envelope, GenericRecord shown) {
        GenericRecord origin = (GenericRecord) envelope.get("source");
        GenericRecord place = new GenericData.Record(source);
        place.put("system", told.getProperty("system"));
        place.put("position", String.format("%016x", (Long) origin.get("lsn")));
        place.put("committed_at", origin.get("ts_us"));
        GenericRecord change = new GenericData.Record(value);
        change.put("op", op);
        change.put("row", shown);
        change.put("source", place);
        change.put("grant", told.getProperty("grant"));
        change.put("contract_version", told.getProperty("contract_version"));
        return change;
    }

    private GenericRecord shown(GenericRecord from) {
        GenericRecord made = new GenericData.Record(row);
        for (String name : List.of("id_number", "sex", "region", "status", "photo_note")) {
            made.put(name, from.get(name));
        }
        made.put("name", kept(from.get("name"), 1, 0));
        made.put("phone", kept(from.get("phone"), 3, 4));
        Integer born = (Integer) from.get("birth_date");
        made.put("birth_date", born == null ? null : LocalDate.ofEpochDay(born).toString().substring(0, 7));
        return made;
    }

    private static String kept(Object value, int first, int last) {
        if (value == null) {
            return null;
        }
        String text = value.toString();
        int length = text.codePointCount(0, text.length());
        int hidden = length - first - last;
        if (hidden < 1) {
            return "*".repeat(length);
        }
        return text.substring(0, text.offsetByCodePoints(0, first)) + "*".repeat(hidden)
            + text.substring(text.offsetByCodePoints(text.length(), -last));
    }

    private byte[] written(String id, GenericDatumWriter<GenericRecord> writer, GenericRecord record)
            throws IOException {
        out.reset();
        out.write(0);
        out.write(ByteBuffer.allocate(4).putInt(Integer.parseInt(told.getProperty(id))).array());
        encoder = EncoderFactory.get().binaryEncoder(out, encoder);
        writer.write(record, encoder);
        encoder.flush();
        return out.toByteArray();
    }
}
