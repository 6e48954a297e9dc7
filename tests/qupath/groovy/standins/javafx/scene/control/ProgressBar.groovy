package javafx.scene.control

import standin.StandinNode

/** Stand-in after JavaFX. */
class ProgressBar extends StandinNode {
    ProgressBar(Object... given) {
        super(given)
    }
}
