package qupath.lib.io

import qupath.lib.objects.PathObject
import standin.GeoJson

/** Stand-in after QuPath's PathIO. */
class PathIO {
    static List<PathObject> readObjects(File file) {
        return GeoJson.read(file)
    }
}
