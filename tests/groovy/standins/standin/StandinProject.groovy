package standin

/** After QuPath's Project. */
class StandinProject {
    File folder
    List<StandinEntry> entries = []
    int synced = 0

    void syncChanges() {
        synced++
    }
}
