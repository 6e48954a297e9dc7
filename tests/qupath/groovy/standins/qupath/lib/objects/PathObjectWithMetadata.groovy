package qupath.lib.objects

/** Stand-in after QuPath's PathObject from 0.5 on. */
class PathObjectWithMetadata extends PathObject {
    private final Map<String, String> stored = new LinkedHashMap()

    PathObjectWithMetadata(String kind) {
        super(kind)
    }

    Map<String, String> getMetadata() {
        return stored
    }
}
