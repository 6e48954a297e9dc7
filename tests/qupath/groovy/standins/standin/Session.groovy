package standin

import javafx.stage.Stage
import qupath.lib.plugins.parameters.ParameterList

/** What QuPath would hold while a script runs: for tests of the scripts alone, without QuPath. */
class Session {
    /** "0.4", "0.5" or "0.6": where these differ, the stand-ins do. */
    static String version = '0.6'
    /** The image that the script is about, and its thread: QuPath knows it by that. */
    static StandinImage image
    static Thread thread
    static StandinProject project
    static StandinGui gui
    /** Settings at the top of a script that differ from those that it comes with: Groovy texts by name. */
    static Map<String, String> settings = [:]
    static List<Map> dialogs = []
    static List<String> events = []
    static List<Map> logged = []
    /** What a person fills in where parameters are shown, by the key; null is Cancel. */
    static Map answer
    static ParameterList parameters
    /** What the dialogs of parameters have shown. */
    static List<Map> asked = []
    /** Windows that are open. */
    static List<Stage> windows = Collections.synchronizedList([])
    /** What fails in the middle: "events" or "adding". */
    static String failing
    /** Whether objects come from a data file, which holds the metadata of all in every version. */
    static boolean restoring
    static File chosen
    /** QuPath's preferences that are not as it comes. */
    static Map<String, String> preferences = [:]
    /** What the entries of the menu do, by their places. */
    static Map<String, Runnable> commands = [:]
    /** Whether QuPath runs the script at its start. */
    static boolean atStart
}
