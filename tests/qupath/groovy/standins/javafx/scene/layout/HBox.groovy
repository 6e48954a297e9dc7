package javafx.scene.layout

import standin.StandinNode

/** Stand-in after JavaFX. */
class HBox extends StandinNode {
    HBox(Object... given) {
        super(given)
    }
}
