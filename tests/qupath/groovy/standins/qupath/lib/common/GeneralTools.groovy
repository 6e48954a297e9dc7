package qupath.lib.common

import java.nio.file.Path
import java.nio.file.Paths

/** Stand-in after QuPath's GeneralTools. */
class GeneralTools {
    static Path toPath(URI uri) {
        return uri.getScheme() == 'file' ? Paths.get(uri) : null
    }
}
