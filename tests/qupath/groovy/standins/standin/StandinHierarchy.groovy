package standin

import qupath.lib.objects.PathObject

/** After QuPath's PathObjectHierarchy and PathObjectSelectionModel. An object without a parent is the root's child. */
class StandinHierarchy {
    List<PathObject> objects = []
    List<PathObject> selected = []

    /** A set, as in QuPath: Groovy makes no list of it. */
    Collection<PathObject> getAllObjects(boolean includeRoot) {
        assert !includeRoot
        return new LinkedHashSet(objects)
    }

    boolean addObjects(Collection<PathObject> added) {
        Session.events << "added ${added.size()}".toString()
        return objects.addAll(added)
    }

    boolean addObjectBelowParent(PathObject parent, PathObject object, boolean fireUpdate) {
        assert objects.any { it.is(parent) } && !fireUpdate
        object.parent = parent
        return objects.add(object)
    }

    boolean removeObject(PathObject object, boolean keepChildren) {
        assert keepChildren
        Session.events << 'removed'
        objects.findAll { object.is(it.parent) }.each { it.parent = object.parent }
        return objects.removeAll { it.is(object) }
    }

    StandinHierarchy getSelectionModel() {
        return this
    }

    Set<PathObject> getSelectedObjects() {
        return Collections.unmodifiableSet(new LinkedHashSet(selected))
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
