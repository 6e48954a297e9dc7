package standin

import qupath.lib.objects.classes.PathClass

/** After QuPath's Project: syncChanges writes a file. */
class StandinProject {
    File folder
    List<PathClass> pathClasses = []
    List<StandinEntry> entries = []
    int synced = 0

    List<StandinEntry> getImageList() {
        return Collections.unmodifiableList(entries)
    }

    boolean setPathClasses(Collection<PathClass> wanted) {
        pathClasses = new ArrayList(wanted)
        return true
    }

    void syncChanges() throws IOException {
        new File(folder, 'project.qpproj').setText('{}', 'UTF-8')
        synced++
    }
}
