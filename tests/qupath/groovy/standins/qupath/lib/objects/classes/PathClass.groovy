package qupath.lib.objects.classes

/** Stand-in after QuPath's PathClass. */
class PathClass {
    final List<String> names

    private PathClass(List<String> names) {
        this.names = names
    }

    static PathClass of(List<String> names) {
        return new PathClass(names.collectMany { it.split(':').collect { part -> part.trim() } })
    }

    String toString() {
        return names.join(': ')
    }
}
