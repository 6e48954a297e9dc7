package standin

import qupath.lib.objects.PathObject

/** After QuPath's ImageData, with its hierarchy. */
class StandinImage {
    private final StandinServer server
    private StandinHierarchy hierarchy
    private boolean changed
    private final Map<String, Object> told = [:]

    StandinImage(StandinServer server, StandinHierarchy hierarchy) {
        this.server = server
        this.hierarchy = hierarchy
        hierarchy.image = this
    }

    /** The steps of its workflow; this object is also that. */
    final List steps = []

    StandinImage getHistoryWorkflow() {
        return this
    }

    void addStep(step) {
        steps << step
        changed = true
    }

    StandinServer getServer() {
        return server
    }

    StandinHierarchy getHierarchy() {
        return hierarchy
    }

    /** As if read again from its file. */
    void restore(List<PathObject> objects, Map<String, Object> properties) {
        hierarchy = new StandinHierarchy(objects)
        hierarchy.image = this
        told.clear()
        told.putAll(properties)
        changed = false
    }

    Map<String, Object> savedProperties() {
        return new LinkedHashMap(told)
    }

    boolean isChanged() {
        return changed
    }

    void setChanged(boolean changed) {
        this.changed = changed
    }

    Object getProperty(String key) {
        return told[key]
    }

    void setProperty(String key, Object value) {
        told[key] = value
        changed = true
    }

    Object removeProperty(String key) {
        changed = true
        return told.remove(key)
    }
}
