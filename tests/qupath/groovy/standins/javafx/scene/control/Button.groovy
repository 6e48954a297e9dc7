package javafx.scene.control

import standin.StandinNode

/** Stand-in after JavaFX. */
class Button extends StandinNode {
    Button(Object... given) {
        super(given)
    }
}
