package standin

import qupath.lib.objects.PathObject

/** After QuPath's PathObjectHierarchy and PathObjectSelectionModel. */
class StandinHierarchy {
    List<PathObject> objects = []
    List<PathObject> selected = []
    StandinImage image
    final PathObject root = new PathObject('root')

    StandinHierarchy(List<PathObject> objects) {
        this.objects = new ArrayList(objects)
        objects.findAll { it.parent == null }.each { it.parent = root }
    }

    /** A set, as in QuPath: Groovy makes no list of it. */
    Collection<PathObject> getAllObjects(boolean includeRoot) {
        assert !includeRoot
        return new LinkedHashSet(objects)
    }

    boolean addObjects(Collection<PathObject> added) {
        note("added ${added.size()}")
        added.each { it.parent = root }
        return objects.addAll(added)
    }

    boolean addObjectBelowParent(PathObject parent, PathObject object, boolean fireUpdate) {
        assert (parent.is(root) || objects.any { it.is(parent) }) && !fireUpdate
        if (Session.failing == 'adding')
            throw new IllegalArgumentException('no room for another object')
        object.parent = parent
        return objects.add(object)
    }

    boolean removeObject(PathObject object, boolean keepChildren) {
        assert keepChildren
        if (!objects.any { it.is(object) })
            return false
        note('removed')
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
        note("classifications ${changed.size()}")
    }

    void fireObjectMeasurementsChangedEvent(Object source, Collection<PathObject> changed) {
        if (Session.failing == 'events')
            throw new OutOfMemoryError('a failure in the middle')
        note("measurements ${changed.size()}")
    }

    private void note(CharSequence event) {
        Session.events << event.toString()
        image.setChanged(true)
    }
}
