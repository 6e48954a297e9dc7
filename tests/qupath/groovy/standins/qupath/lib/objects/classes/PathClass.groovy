package qupath.lib.objects.classes

/** Stand-in after QuPath's PathClass: one for each name, whose colour is the one that it got first. */
class PathClass {
    private static final Map<List<String>, PathClass> KNOWN = [:]
    final List<String> names
    final Integer color

    private PathClass(List<String> names, Integer color) {
        this.names = names
        this.color = color
    }

    static synchronized PathClass fromCollection(Collection<String> names, Integer color = null) {
        assert !names.isEmpty() && names.every { !it.contains(':') }
        return KNOWN.computeIfAbsent(new ArrayList(names)) { new PathClass(it, color) }
    }

    String toString() {
        return names.join(': ')
    }
}
