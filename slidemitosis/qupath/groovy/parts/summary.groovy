import java.math.RoundingMode
import java.security.MessageDigest

File summaryFile(Map place) {
    return new File(place.folder, "summaries/${fileName(place.id)}.json")
}

Double thresholdOf(Map summary) {
    return summary == null ? null : summary.model.threshold as Double
}

/** Throw unless a summary is of this image, in the frame that QuPath shows it in. `ofEntry`: as `isSameSlide`. */
void refuseOtherImage(Map summary, Map image, boolean ofEntry) {
    def reason = otherImage(summary, image.slide, image.width, image.height, ofEntry)
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
 * `ofEntry`: as `isSameSlide`.
 */
String otherImage(Map summary, File file, int width, int height, boolean ofEntry) {
    def slide = summary.slide
    if (!(slide instanceof Map) || summary.reading == null || summary.model == null)
        return 'their summary.json is not one of "slidemitosis classify"; take the whole folder that it wrote'
    if (!isSameSlide(summary, file, ofEntry))
        return "these results are of ${slide.name} (${(long) slide.bytes} bytes), and this image is " +
            "${file.getName()} (${file.length()} bytes), or has another content by now; classify it again"
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

/** Return a number with so many digits, rounded as Python does: of what the number is exactly, and halves to even. */
String decimals(Number value, int places) {
    if (value == null || !Double.isFinite(value as double))
        return value == null ? 'NA' : value.toString()
    return new BigDecimal(value as double).setScale(places, RoundingMode.HALF_EVEN).toPlainString()
}

/**
 * Return whether a file holds the slide that a summary is of, by the rule of docs/cohorts.md: the same size and time,
 * or the same size and content if every figure could be read. Older summaries state a name and a size alone, and the
 * name does not count where the run was of this very image (`ofEntry`).
 */
boolean isSameSlide(Map summary, File file, boolean ofEntry) {
    def slide = summary.slide
    if (!(slide instanceof Map) || slide.bytes == null || (long) slide.bytes != file.length())
        return false
    if (slide.modified_ms == null)
        return ofEntry || slide.name == file.getName()
    if ((long) slide.modified_ms == file.lastModified())
        return true
    def counts = summary.counts
    return counts.unreadable == 0 && counts.blank == 0 && slide.content_sha256 == contentSha256(file)
}

/** Return a SHA-256 of samples of a file, and of names, sizes and samples of a slide's further files. */
String contentSha256(File file) {
    def digest = MessageDigest.getInstance('SHA-256')
    addSamples(digest, file, 64)
    furtherFiles(file).each {
        digest.update("${it.getName()}\n${it.length()}\n".getBytes('UTF-8'))
        addSamples(digest, it, 4)
    }
    return digest.digest().encodeHex().toString()
}

/** Add so many samples of a file to a digest, from its first to its last byte; of a small one all bytes. */
void addSamples(MessageDigest digest, File file, int number) {
    long size = file.length()
    def places = size <= number * 65536 ? (0..<number).collect { 65536L * it } :
        (0..<number).collect { ((size - 65536) * it).intdiv(number - 1) }
    new RandomAccessFile(file, 'r').withCloseable { source ->
        byte[] bytes = new byte[65536]
        places.findAll { it < size }.each { at ->
            int length = Math.min(65536L, size - at)
            source.seek(at)
            source.readFully(bytes, 0, length)
            digest.update(bytes, 0, length)
        }
    }
}

/** Return what a slide's pixels lie in beside its own file: MIRAX, DICOM, Hamamatsu VMS and VMU. */
List<File> furtherFiles(File slide) {
    // Suffix of a slide -> those of its other files; all of MIRAX's, which have a folder of their own.
    def suffixes = ['.mrxs': [''], '.dcm': ['.dcm'], '.vms': ['.jpg', '.opt'], '.vmu': ['.jpg', '.ngr', '.opt']]
    def name = slide.getName().toLowerCase(Locale.ROOT)
    def suffix = suffixes.keySet().find { name.endsWith(it) }
    if (suffix == null)
        return []
    def beside = slide.getParentFile()
    def folder = suffix == '.mrxs' ? new File(beside, slide.getName().replaceFirst(/\.[^.]*$/, '')) : beside
    return (folder.listFiles() ?: []).findAll { file ->
        def other = file.getName().toLowerCase(Locale.ROOT)
        file.isFile() && file != slide && suffixes[suffix].any { other.endsWith(it) }
    }.sort { it.getName() }
}
