/** Return "Atypical" or "Normal" where the last part of a derived class says so, else null. */
String statedCall(String name) {
    def parts = classParts(name)
    return parts.size() > 1 && parts.last() in ['Atypical', 'Normal'] ? parts.last() : null
}

/**
 * Return what the last run called an object, "Atypical" or "Normal"; null where it was not classified, or where the
 * call cannot be told.
 *
 * `subtype` is the metadata "slidemitosis.subtype", which QuPath keeps from 0.6 on: its first word is the call.
 */
String recordedCall(double p, String subtype, Double threshold) {
    if (Double.isNaN(p))
        return null
    if (subtype != null && (subtype.startsWith('AMF ') || subtype.startsWith('NMF ')))
        return subtype.startsWith('AMF ') ? 'Atypical' : 'Normal'
    if (threshold == null)
        return null
    // Compared as floats, since QuPath keeps the measurements of detections as floats.
    return ((float) p) >= threshold.floatValue() ? 'Atypical' : 'Normal'
}

/**
 * Return what the last run called an object of the image, as `recordedCall`.
 *
 * The object's own measurement says from which P(atypical) on it was called atypical. `threshold`: that of the run, for
 * objects of versions that did not record it.
 */
String lastCall(object, Double threshold) {
    def list = object.getMeasurementList()
    def own = list.get('Call threshold')
    return recordedCall(list.get('P(atypical)'), metadataOf(object)['slidemitosis.subtype'],
        Double.isNaN(own) ? threshold : own)
}

/** Return the metadata of an object; none in QuPath before 0.5, where objects have no metadata. */
Map metadataOf(object) {
    return object.metaClass.respondsTo(object, 'getMetadata') ? object.getMetadata() : [:]
}
