package qupath.lib.io

import java.nio.file.Files
import qupath.lib.objects.PathObject
import standin.GeoJson

/** Stand-in after QuPath's PathIO. */
class PathIO {
    /** Throws for a file that is none; of one that was cut off it waits for the end for ever, as QuPath does. */
    static Object readHierarchy(InputStream stream) throws IOException {
        def text = new StringBuilder()
        while (!text.toString().endsWith('}]}') && !text.toString().endsWith(':[]}')) {
            int read = stream.read()
            if (read >= 0)
                text.append((char) read)
            if (text.length() == 1 && text.charAt(0) != ('{' as char))
                throw new StreamCorruptedException('invalid stream header')
        }
        return GeoJson.read(new ByteArrayInputStream(text.toString().getBytes('ISO-8859-1')))
    }

    static List<PathObject> readObjects(File file) throws IOException {
        return Files.newInputStream(file.toPath()).withCloseable { GeoJson.read(it) }.asImmutable()
    }
}
