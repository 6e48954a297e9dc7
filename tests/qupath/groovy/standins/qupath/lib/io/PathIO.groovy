package qupath.lib.io

import java.nio.file.Files
import qupath.lib.objects.PathObject
import standin.GeoJson

/** Stand-in after QuPath's PathIO. */
class PathIO {
    static List<PathObject> readObjects(File file) throws IOException {
        return Files.newInputStream(file.toPath()).withCloseable { GeoJson.read(it) }.asImmutable()
    }
}
