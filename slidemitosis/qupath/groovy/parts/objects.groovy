/** Return the objects of a class and of the classes derived from it. */
List objectsOfClass(String wanted) {
    return allObjects().findAll {
        canBeCandidate(it) && isOfClass(className(it), wanted)
    }
}

/** Return the candidates: the objects of a class, and those of which a person has said since that they are none. */
List candidateObjects(String wanted) {
    return objectsOfClass(wanted) + deniedObjects(wanted)
}

/** Return what a run has classified or a person answered about, and what a person has given another class since. */
List deniedObjects(String wanted) {
    def others = allObjects().findAll {
        def list = it.getMeasurementList()
        canBeCandidate(it) && !isOfClass(className(it), wanted) &&
            ['P(atypical)', 'Reviewed'].any { name -> !Double.isNaN(list.get(name)) }
    }
    // Figures of another class of candidates are called by another run.
    def called = others.collect { className(it) }.findAll { statedCall(it) != null }.collect { baseClass(it) } as Set
    return others.findAll { statedCall(className(it)) == null && !called.contains(className(it)) }
}

/** Return how many objects each class has: "Mitosis (12), Unclassified (3)", or "none". */
String classCounts() {
    def counts = new TreeMap()
    allObjects().findAll { canBeCandidate(it) }.each {
        counts[className(it)] = (counts[className(it)] ?: 0) + 1
    }
    return counts.collect { name, count -> "${name} (${count})" }.join(', ') ?: 'none'
}
