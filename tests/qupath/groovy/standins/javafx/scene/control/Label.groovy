package javafx.scene.control

import standin.StandinNode

/** Stand-in after JavaFX. */
class Label extends StandinNode {
    Label(Object... given) {
        super(given)
    }
}
