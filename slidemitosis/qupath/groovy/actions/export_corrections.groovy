/*
 * slidemitosis in QuPath 0.4 to 0.8: export what was corrected after a run as labelled figures, which "slidemitosis
 * train" and "slidemitosis data check" read as --data slides=corrections.csv. For research use only.
 *
 * A correction is an object whose class ends in ": Atypical" or ": Normal" where the last run said otherwise, or had
 * not seen it. What the run said is in the object's metadata (QuPath 0.6 and later), or follows from P(atypical) and
 * the threshold in the summary of the run. Objects of other classes, such as false detections, are no labels.
 *
 * What it writes: the file corrections.csv in the folder "slidemitosis" of the project, with the centre of each such
 * figure in level-0 pixels of the slide (QuPath's count from the corner of the bounds, where a slide has these; the
 * summary says so), the label AMF or NMF, and empty columns for patient and domain. Exported again, an image's
 * rows are replaced, but what was filled in there stays; an image without corrections has no rows.
 */

import groovy.transform.Field
import java.nio.file.Files

// ---- Settings. What stands here is used, and nothing else is remembered.

/** The class of figures: of those that a user has added after the run. */
@Field String CANDIDATE_CLASS = 'Mitosis'
/** Whether only figures that were changed are exported. false, all, is right only if every one was looked at. */
@Field boolean CHANGED_ONLY = true

// ---- What is done.

@Field String SCRIPT = 'export_corrections'
@Field List<String> COLUMNS = [
    'slide', 'x', 'y', 'label', 'mpp', 'patient', 'domain',
    'entry_id', 'image', 'object_id', 'model_call', 'p_atypical', 'reason',
]

reported { Map place -> exportCorrections(place) }

String exportCorrections(Map place) {
    def image = checkedImage(place)
    refuseOutsideProject(place)
    if (!summaryFile(place).isFile())
        refuse('slidemitosis has not run on this image; run classify_image.groovy or import_results.groovy first')
    def summary = readJson(summaryFile(place))
    refuseOtherImage(summary, image, true)
    refuseUnreadable(place)
    settleRun(place)
    def labelled = labelledObjects()
    def changed = labelled.findAll { lastCall(it, thresholdOf(summary)) != statedCall(className(it)) }
    def rows = distinctRows((CHANGED_ONLY ? changed : labelled).collect { labelRow(it, place, image, summary) })
    writeRows(place, rows)
    return ("${changed.size()} figures differ from what the model said, ${labelled.size() - changed.size()} do not; " +
        "${rows.size()} are labels in corrections.csv").toString()
}

/** Return the objects that are called atypical or normal and are figures: of the class, or classified by a run. */
List labelledObjects() {
    return allObjects().findAll {
        canBeCandidate(it) && statedCall(className(it)) != null &&
            (isOfClass(className(it), CANDIDATE_CLASS) || !Double.isNaN(it.getMeasurementList().get('P(atypical)')))
    }
}

Map labelRow(object, Map place, Map image, Map summary) {
    def roi = object.isCell() && object.getNucleusROI() != null ? object.getNucleusROI() : object.getROI()
    if (roi.isPoint() && roi.getNumPoints() > 1)
        refuse("a points object of ${roi.getNumPoints()} points is ${className(object)}; which of them? Run " +
            'classify_image.groovy on it, which makes an object of each point')
    def p = object.getMeasurementList().get('P(atypical)')
    def call = lastCall(object, thresholdOf(summary))
    return [
        slide: image.slide.getPath(),
        x: decimals(roi.getCentroidX() + objectsOffset(summary)[0], 2),
        y: decimals(roi.getCentroidY() + objectsOffset(summary)[1], 2),
        label: labelOf(statedCall(className(object))), mpp: givenMpp(summary.slide),
        entry_id: place.id, image: place.name, object_id: object.getID().toString(),
        model_call: call == null ? '' : labelOf(call), p_atypical: Double.isNaN(p) ? '' : decimals(p, 6),
        // Why it is a label: "slidemitosis calibrate" takes no figures that were found wrong.
        reason: CHANGED_ONLY ? 'found' : 'all',
    ]
}

String labelOf(String call) {
    return call == 'Atypical' ? 'AMF' : 'NMF'
}

/** Return the slide's um/px as one number, as a table of labels has it. Throws for pixels that are not square. */
String givenMpp(Map slide) {
    double x = slide.mpp_x as double
    double y = slide.mpp_y as double
    if (Math.abs(x - y) > 0.01 * Math.min(x, y))
        refuse("the pixels of this slide are not square (${x} x ${y} um), which a table of labels cannot say")
    return decimals((x + y) / 2, 6)
}

/** Return one row for each place. Throws if one figure has both labels. */
List<Map> distinctRows(List<Map> rows) {
    return rows.groupBy { [it.x, it.y] }.collect { at, same ->
        if (same*.label.toSet().size() > 1)
            refuse("at x ${at[0]}, y ${at[1]} (level 0) stand two objects, one atypical and one normal; delete one")
        return same[0]
    }
}

void writeRows(Map place, List<Map> rows) {
    def file = new File(place.folder, 'corrections.csv')
    def labelled = readTable(file, COLUMNS).rows.findAll { it.entry_id != place.id }
    def again = rows.find { row ->
        labelled.any { it.slide == row.slide && it.x == row.x && it.y == row.y }
    }
    if (again != null)
        refuse("the figure at x ${again.x}, y ${again.y} is in corrections.csv already, from another image of this " +
            'project with the same slide; remove one of the two')
    if (file.isFile() && labelled.isEmpty() && rows.isEmpty())
        Files.delete(file.toPath())
    else if (file.isFile() || !rows.isEmpty())
        replaceRows(file, COLUMNS, [entry_id: place.id], 'object_id', rows)
}

// parts: classes, calls, summary, project, saved, image, report, batch, files
