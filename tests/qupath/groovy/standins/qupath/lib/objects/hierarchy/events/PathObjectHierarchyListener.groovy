package qupath.lib.objects.hierarchy.events

/** Stand-in after QuPath's. */
interface PathObjectHierarchyListener {
    void hierarchyChanged(event)
}
