package standin

/** After QuPath's QuPathGUI. */
class StandinGui {
    StandinImage imageData
    Object stage
}
