import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.avro.Schema;

/** Writes each schema as Avro for Java writes it, one to a line. */
public class SchemaText {
    public static void main(String[] files) throws Exception {
        for (String file : files) {
            System.out.println(new Schema.Parser().parse(Files.readString(Path.of(file))));
        }
    }
}
