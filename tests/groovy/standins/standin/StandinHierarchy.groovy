package standin

import qupath.lib.objects.PathObject

/** After QuPath's PathObjectHierarchy and PathObjectSelectionModel. */
class StandinHierarchy {
    List<PathObject> objects = []
    List<PathObject> selected = []

    Collection<PathObject> getAllObjects(boolean includeRoot) {
        assert !includeRoot
        return new ArrayList(objects)
    }

    boolean addObjects(Collection<PathObject> added) {
        Session.events << "added ${added.size()}".toString()
        return objects.addAll(added)
    }

    boolean removeObject(PathObject object, boolean keepChildren) {
        assert keepChildren
        Session.events << 'removed'
        return objects.removeAll { it.is(object) }
    }

    StandinHierarchy getSelectionModel() {
        return this
    }

    Set<PathObject> getSelectedObjects() {
        return new LinkedHashSet(selected)
    }

    void clearSelection() {
        selected = []
    }

    void fireObjectClassificationsChangedEvent(Object source, Collection<PathObject> changed) {
        Session.events << "classifications ${changed.size()}".toString()
    }

    void fireObjectMeasurementsChangedEvent(Object source, Collection<PathObject> changed) {
        Session.events << "measurements ${changed.size()}".toString()
    }
}
