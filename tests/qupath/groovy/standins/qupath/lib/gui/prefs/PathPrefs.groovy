package qupath.lib.gui.prefs

import standin.Session
import standin.StandinPreference

/** Stand-in after QuPath's PathPrefs: preferences are texts by name, which outlive a script. */
class PathPrefs {
    static StandinPreference createPersistentPreference(String name, String initial) {
        return new StandinPreference(name: name, initial: initial)
    }

    static StandinPreference startupScriptProperty() {
        return createPersistentPreference('startupScriptPath', null)
    }

    static boolean savePreferences() {
        Session.events << 'preferences saved'
        return true
    }
}
