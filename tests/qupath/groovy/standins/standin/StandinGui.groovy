package standin

/** After QuPath's QuPathGUI, which is also its only viewer here. */
class StandinGui {
    StandinImage imageData
    Object stage

    StandinProject getProject() {
        return Session.project
    }

    List<StandinGui> getAllViewers() {
        return [this]
    }
}
