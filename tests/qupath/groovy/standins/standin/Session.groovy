package standin

/** What QuPath would hold while a script runs: for tests of the scripts alone, without QuPath. */
class Session {
    /** "0.4", "0.5" or "0.6": where these differ, the stand-ins do. */
    static String version = '0.6'
    /** The image that the script is about, and its thread: QuPath knows it by that. */
    static StandinImage image
    static Thread thread
    static StandinProject project
    static StandinGui gui
    static Map<String, String> preferences = [:]
    static List<Map> dialogs = []
    static List<String> events = []
    static File chosen
}
