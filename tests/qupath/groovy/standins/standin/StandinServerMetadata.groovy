package standin

/** After QuPath's ImageServerMetadata. */
class StandinServerMetadata {
    String name
}
