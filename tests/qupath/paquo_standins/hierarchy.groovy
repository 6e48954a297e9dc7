package qupath.lib.objects.hierarchy

import groovy.transform.CompileStatic
import qupath.lib.objects.PathObject
import qupath.lib.objects.PathRootObject

/** Stand-in after QuPath's PathObjectHierarchy. */
@CompileStatic
class PathObjectHierarchy {
    private final PathObject root = new PathRootObject()
    private final List<PathObject> objects = []

    PathObject getRootObject() {
        return root
    }

    /** A set, as in QuPath. */
    Collection<PathObject> getAllObjects(boolean includeRoot) {
        assert !includeRoot
        return new LinkedHashSet<PathObject>(objects)
    }

    boolean addObjects(Collection<? extends PathObject> added) {
        added.each { addObjectBelowParent(null, it, false) }
        return !added.isEmpty()
    }

    boolean addObjectBelowParent(PathObject parent, PathObject object, boolean fireUpdate) {
        object.parent = parent ?: root
        return objects.add(object)
    }

    boolean removeObject(PathObject object, boolean keepChildren) {
        assert keepChildren
        objects.findAll { object.is(it.parent) }.each { it.parent = object.parent }
        return objects.removeAll { it.is(object) }
    }

    void fireHierarchyChangedEvent(Object source) {
    }
}
