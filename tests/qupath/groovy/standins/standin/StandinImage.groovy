package standin

/** After QuPath's ImageData, with its hierarchy. */
class StandinImage {
    StandinServer server
    StandinHierarchy hierarchy
}
