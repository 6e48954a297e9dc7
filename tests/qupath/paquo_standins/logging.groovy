package qupath.lib.gui.logging

import groovy.transform.CompileStatic

/** Stand-in after QuPath's LogManager, with its log, which goes to standard output. */
@CompileStatic
class LogManager {
    private static boolean debug = false

    static void setDebug() {
        debug = true
    }

    static void setWarn() {
        debug = false
    }

    static void debug(String text) {
        if (debug)
            System.out.println("11:54:25.809 [main] [DEBUG] q.lib.Standin - ${text}")
    }

    static void warn(String text) {
        System.out.println("11:54:25.809 [main] [WARN ] q.lib.Standin - ${text}")
    }

    static void error(String text, Exception e) {
        System.out.println("11:54:25.809 [main] [ERROR] q.lib.Standin - ${text}")
        e.printStackTrace(System.out)
    }
}
