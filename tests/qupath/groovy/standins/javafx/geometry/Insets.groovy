package javafx.geometry

/** Stand-in after JavaFX. */
class Insets {
    Insets(double all) {
    }
}
