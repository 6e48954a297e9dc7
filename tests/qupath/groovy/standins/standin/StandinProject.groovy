package standin

/** After QuPath's Project: syncChanges writes a file. */
class StandinProject {
    File folder
    List<StandinEntry> entries = []
    int synced = 0

    List<StandinEntry> getImageList() {
        return Collections.unmodifiableList(entries)
    }

    void syncChanges() throws IOException {
        new File(folder, 'project.qpproj').setText('{}', 'UTF-8')
        synced++
    }
}
