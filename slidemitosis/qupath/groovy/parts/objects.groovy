/** Return the objects of a class and of the classes derived from it. */
List objectsOfClass(String wanted) {
    return allObjects().findAll {
        canBeCandidate(it) && isOfClass(className(it), wanted)
    }
}

/** Return how many objects each class has: "Mitosis (12), Unclassified (3)", or "none". */
String classCounts() {
    def counts = new TreeMap()
    allObjects().findAll { canBeCandidate(it) }.each {
        counts[className(it)] = (counts[className(it)] ?: 0) + 1
    }
    return counts.collect { name, count -> "${name} (${count})" }.join(', ') ?: 'none'
}
