package javafx.scene.layout

import standin.StandinNode

/** Stand-in after JavaFX. */
class VBox extends StandinNode {
    VBox(Object... given) {
        super(given)
    }
}
