package javafx.scene

import standin.StandinNode

/** Stand-in after JavaFX. */
class Scene {
    final StandinNode root
    Closure onKeyPressed

    Scene(StandinNode root) {
        this.root = root
    }
}
