package qupath.lib.gui.prefs

/** Stand-in after QuPath's PathPrefs. */
class PathPrefs {
    static StandinProperty createPersistentPreference(String name, String value) {
        return new StandinProperty(name: name, fallback: value)
    }
}
