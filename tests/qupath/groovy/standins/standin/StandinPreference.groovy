package standin

/** After JavaFX's StringProperty, as QuPath binds it to a preference: null takes it away. */
class StandinPreference {
    String name
    String initial

    String get() {
        return Session.preferences.getOrDefault(name, initial)
    }

    void set(String value) {
        if (value == null)
            Session.preferences.remove(name)
        else
            Session.preferences[name] = value
    }
}
