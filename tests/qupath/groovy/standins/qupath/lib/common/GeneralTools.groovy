package qupath.lib.common

import java.nio.file.Path
import java.nio.file.Paths
import standin.Session

/** Stand-in after QuPath's GeneralTools. */
class GeneralTools {
    static String getVersion() {
        return Session.version + '.1'
    }

    static Path toPath(URI uri) {
        return uri.getScheme() == 'file' ? Paths.get(uri) : null
    }
}
