/** Return "Atypical" or "Normal" where the last part of a derived class says so, else null. */
String statedCall(String name) {
    def parts = classParts(name)
    return parts.size() > 1 && parts.last() in ['Atypical', 'Normal'] ? parts.last() : null
}

/** Return a class without the calls at its end, in any case; one that is nothing else stays as it is. */
String baseClass(String name) {
    def parts = classParts(name)
    int kept = parts.size()
    while (kept > 1 && parts[kept - 1].toLowerCase(Locale.ROOT) in ['atypical', 'normal'])
        kept--
    return parts.take(kept).join(': ')
}

/**
 * Return what the last run called an object, "Atypical" or "Normal"; null where it was not classified, or where the
 * call cannot be told.
 *
 * `own`: P(atypical) from which that run called it atypical, as the object states it, or NaN. `subtype`: the metadata
 * "slidemitosis.subtype", whose first word is the call; it comes second, since QuPath 0.5 cannot change it.
 * `threshold`: that of the run, for objects of versions that did not record it, or null.
 */
String recordedCall(double p, double own, String subtype, Double threshold) {
    if (Double.isNaN(p))
        return null
    if (Double.isNaN(own) && subtype != null && (subtype.startsWith('AMF ') || subtype.startsWith('NMF ')))
        return subtype.startsWith('AMF ') ? 'Atypical' : 'Normal'
    def from = Double.isNaN(own) ? threshold : own
    if (from == null)
        return null
    // Compared as floats, since QuPath keeps the measurements of detections as floats.
    return ((float) p) >= ((float) from) ? 'Atypical' : 'Normal'
}

/** Return what the last run called an object of the image, as `recordedCall`. */
String lastCall(object, Double threshold) {
    def list = object.getMeasurementList()
    return recordedCall(list.get('P(atypical)'), list.get('Call threshold'),
        metadataOf(object)['slidemitosis.subtype'], threshold)
}

/**
 * Return whether a person gave an object its class: one that is `Reviewed`, a call before any run, another call than
 * the last run's, or, since the export, another class than the results know.
 *
 * `result`: the object's class in these. `answered`: whether it is a person's there, so that it may be of another kind.
 */
boolean isClassByHand(object, String result, boolean answered, Double threshold) {
    def p = object.getMeasurementList().get('P(atypical)')
    if (isReviewed(object))
        return true
    if (object.getPathClass() == null)
        return !Double.isNaN(p)
    def name = className(object)
    def stated = statedCall(name)
    if (!(answered && (stated != null || Double.isNaN(p))) && baseClass(name) != baseClass(result))
        return true
    if (stated == null || Double.isNaN(p))
        return stated != null
    def recorded = lastCall(object, threshold)
    return recorded != null && recorded != stated
}

/** Return whether a person has answered about an object; the measurement is the reason for which it was shown. */
boolean isReviewed(object) {
    return !Double.isNaN(object.getMeasurementList().get('Reviewed'))
}

/** Return the metadata of an object; none in QuPath 0.4, where objects have no metadata that a script can reach. */
Map metadataOf(object) {
    return object.metaClass.respondsTo(object, 'getMetadata') ? object.getMetadata() : [:]
}
