package standin

import qupath.lib.objects.PathObject
import qupath.lib.objects.hierarchy.events.PathObjectHierarchyListener

/** After QuPath's PathObjectHierarchy and PathObjectSelectionModel. */
class StandinHierarchy {
    List<PathObject> objects = []
    List<PathObject> selected = []
    StandinImage image
    private final List<PathObjectHierarchyListener> listeners = []
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

    boolean addObjectBelowParent(PathObject parent, PathObject object, boolean fireUpdate) {
        assert (parent.is(root) || objects.any { it.is(parent) }) && !fireUpdate
        if (Session.failing == 'adding')
            throw new IllegalArgumentException('no room for another object')
        object.parent = parent
        return objects.add(object)
    }

    boolean removeObjectWithoutUpdate(PathObject object, boolean keepChildren) {
        assert keepChildren
        if (!objects.any { it.is(object) })
            return false
        objects.findAll { object.is(it.parent) }.each { it.parent = object.parent }
        return objects.removeAll { it.is(object) }
    }

    StandinHierarchy getSelectionModel() {
        return this
    }

    Set<PathObject> getSelectedObjects() {
        return Collections.unmodifiableSet(new LinkedHashSet(selected))
    }

    boolean isSelected(PathObject object) {
        return selected.any { it.is(object) }
    }

    void setSelectedObject(PathObject object) {
        selected = [object]
    }

    void clearSelection() {
        selected = []
    }

    PathObject getRootObject() {
        return root
    }

    /** Whoever looks at the image is told that it has changed: each time is one step for Undo. */
    void changed() {
        if (Session.failing == 'events') {
            Session.failing = null
            throw new OutOfMemoryError('a failure in the middle')
        }
        Session.events << 'hierarchy'
        image.setChanged(true)
        listeners*.hierarchyChanged(null)
    }

    void addListener(PathObjectHierarchyListener listener) {
        listeners << listener
    }

    void removeListener(PathObjectHierarchyListener listener) {
        listeners.remove(listener)
    }

    /** As QuPath's Undo does: others of the same ids take the objects' place, and nothing is selected. */
    void undo(List<PathObject> before) {
        objects = before
        selected = []
        listeners*.hierarchyChanged(null)
    }
}
