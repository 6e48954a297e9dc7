package javafx.stage

import javafx.scene.Scene
import standin.Session

/** Stand-in after JavaFX: a window that is shown is noted. */
class Stage {
    String title
    Scene scene
    double x
    double y
    double width
    double height

    void show() {
        Session.windows << this
    }

    void close() {
        Session.windows.remove(this)
    }

    /** What a test sees of it: its texts, of buttons in brackets. */
    List<String> seen() {
        return [title] + scene.root.all().findAll { it.text }.collect { it.action == null ? it.text : "[${it.text}]".toString() }
    }

    void press(String name) {
        scene.root.all().find { it.text == name }.action.call()
    }

    Object methodMissing(String name, Object given) {
        return null
    }
}
