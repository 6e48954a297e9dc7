package standin

/** After JavaFX's KeyEvent. */
class StandinKey {
    String code
}
