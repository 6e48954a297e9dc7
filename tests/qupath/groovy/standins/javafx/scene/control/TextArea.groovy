package javafx.scene.control

import standin.StandinNode

/** Stand-in after JavaFX. */
class TextArea extends StandinNode {
    TextArea(Object... given) {
        super(given)
    }
}
