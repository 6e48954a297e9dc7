package qupath.lib.gui.prefs

import standin.Session

/** Stand-in after JavaFX's StringProperty, which QuPath keeps in the user's preferences. */
class StandinProperty {
    String name
    String fallback

    String get() {
        return Session.preferences.getOrDefault(name, fallback)
    }

    void set(String value) {
        Session.preferences.put(name, value)
    }
}
