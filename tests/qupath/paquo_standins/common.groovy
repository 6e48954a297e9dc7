package qupath.lib.common

import groovy.transform.CompileStatic

/** Stand-in after QuPath's GeneralTools; STANDIN_QUPATH in the environment is the version. */
@CompileStatic
class GeneralTools {
    static String getVersion() {
        return System.getenv('STANDIN_QUPATH') ?: '0.7.0'
    }

    static boolean isBefore(String version) {
        return getVersion().compareTo(version) < 0
    }
}

class ColorTools {
}
