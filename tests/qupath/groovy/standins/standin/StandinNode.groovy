package standin

/** After what JavaFX shows: it has a text, and others in it; whatever else is set of it does not matter here. */
class StandinNode {
    String text = ''
    List children = []
    Closure action
    boolean disable

    StandinNode(Object... given) {
        text = given.length > 0 && given[0] instanceof CharSequence ? given[0].toString() : ''
    }

    void setOnAction(Closure wanted) {
        action = wanted
    }

    Object methodMissing(String name, Object given) {
        return null
    }

    List all() {
        return [this] + children.collectMany { it.all() }
    }
}
