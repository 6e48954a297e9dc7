File summaryFile(Map place) {
    return new File(place.folder, "summaries/${fileName(place.id)}.json")
}

Double thresholdOf(Map summary) {
    return summary == null ? null : summary.model.threshold as Double
}

/** Throw unless a summary is of this image, in the frame that QuPath shows it in. `ofEntry`: as `otherImage`. */
void refuseOtherImage(Map summary, Map image, boolean ofEntry) {
    def reason = otherImage(summary, image.slide.getName(), image.slide.length(), image.width, image.height, ofEntry)
    if (reason != null)
        refuse(reason)
}

/** Return what to add to x and y of objects.geojson to get level-0 pixels of the whole slide. */
List objectsOffset(Map summary) {
    // Older summaries state one offset, for points and objects.
    return summary.reading.objects_offset_px ?: summary.reading.offset_px
}

/**
 * Return why a summary is not of this image, or null. `width`, `height`: px of QuPath's full-resolution image.
 * `ofEntry`: whether the run was of this image of the project, whose file may have another name by now.
 */
String otherImage(Map summary, String name, long bytes, int width, int height, boolean ofEntry) {
    def slide = summary.slide
    if (!(slide instanceof Map) || summary.reading == null || summary.model == null)
        return 'their summary.json is not one of "slidemitosis classify"; take the whole folder that it wrote'
    if (!isSameSlide(summary, name, bytes, ofEntry))
        return "these results are of ${slide.name} (${(long) slide.bytes} bytes), and this image is ${name} " +
            "(${bytes} bytes)"
    def offset = objectsOffset(summary).collect { (long) it }
    def bounds = slide.bounds_px
    if (width == (long) slide.width_px && height == (long) slide.height_px && offset == [0L, 0L])
        return null
    if (bounds != null && width == (long) bounds.width && height == (long) bounds.height &&
            offset == [(long) bounds.x, (long) bounds.y])
        return null
    return "these results count from ${offset.join(', ')} px of a slide of ${(long) slide.width_px} x " +
        "${(long) slide.height_px} px, and QuPath shows ${width} x ${height} px of it: the origins differ; " +
        'classify the image from here'
}

String decimals(Number value, int places) {
    return value == null ? 'NA' : String.format(Locale.ROOT, '%.' + places + 'f', value as double)
}

/** Return whether a summary is of a slide's file of this name and size; of an image's own run, of this size. */
boolean isSameSlide(Map summary, String name, long bytes, boolean ofEntry) {
    def slide = summary.slide
    return slide instanceof Map && slide.bytes != null && (long) slide.bytes == bytes && (ofEntry || slide.name == name)
}
