import static qupath.lib.gui.scripting.QPEx.*

/** Return every object of the image as a list; QuPath gives a set. */
List allObjects() {
    return new ArrayList(getCurrentHierarchy().getAllObjects(false))
}

boolean canBeCandidate(object) {
    return object.hasROI() && !object.isTMACore() && !object.isRootObject() && !isHotSpot(object)
}

/** Return whether an object is the hot spot that slidemitosis has drawn: a region, no figure. */
boolean isHotSpot(object) {
    return className(object) == 'Hot spot' && !Double.isNaN(object.getMeasurementList().get('Spot mm2'))
}

/** Return the class of an object as QuPath shows it, such as "Mitosis: Atypical". */
String className(object) {
    return object.getPathClass() == null ? 'Unclassified' : object.getPathClass().toString()
}

/** Return the parts of a class that is derived from another: "Mitosis: Atypical" has two. */
List<String> classParts(String name) {
    return name.split(':').collect { it.trim() }.findAll { !it.isEmpty() }
}

/** Return whether a class is `wanted` or derived from it. */
boolean isOfClass(String name, String wanted) {
    def parts = classParts(name)
    def first = classParts(wanted)
    return parts.size() >= first.size() && parts.take(first.size()) == first
}
