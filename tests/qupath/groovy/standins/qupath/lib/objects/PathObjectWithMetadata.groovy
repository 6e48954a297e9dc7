package qupath.lib.objects

import standin.Session

/** Stand-in after QuPath's PathObject from 0.5 on. */
class PathObjectWithMetadata extends PathObject {
    private final Map<String, String> stored = new LinkedHashMap()

    PathObjectWithMetadata(String kind) {
        super(kind)
    }

    /** In 0.5 a script cannot change that of a detection. */
    Map<String, String> getMetadata() {
        return Session.version == '0.5' && kind != 'annotation' ? Collections.unmodifiableMap(stored) : stored
    }

    /** What a data file holds is there in every version. */
    void store(Map<String, String> metadata) {
        stored.putAll(metadata)
    }
}
