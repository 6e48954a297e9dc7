package qupath.lib.objects.classes

import groovy.transform.CompileStatic
import qupath.lib.gui.logging.LogManager

/** Stand-in after QuPath's PathClass, of which there is one for each name. */
@CompileStatic
class PathClass {
    private static final Map<List<String>, PathClass> ALL = [:]
    final List<String> names

    private PathClass(List<String> names) {
        this.names = names
    }

    static synchronized PathClass fromCollection(Collection<String> names) {
        List<String> parts = []
        for (String name : names)
            for (String part : name.split(':'))
                parts << part.trim()
        if (!ALL.containsKey(parts)) {
            LogManager.debug("Deriving PathClass ${parts}")
            ALL.put(parts, new PathClass(parts))
        }
        return ALL.get(parts)
    }

    static PathClass fromString(String text) {
        return fromCollection([text])
    }

    String toString() {
        return names.join(': ')
    }
}
