import java.nio.file.Files

import static qupath.lib.gui.scripting.QPEx.*

/** Return where this image's results go: in the project's folder, or beside the slide where there is no project. */
File resultFolder(Map place, File slide) {
    if (place.folder != null)
        return new File(place.folder, 'results/' + fileName(place.id))
    return new File(slide.getParentFile(), slide.getName() + '.slidemitosis')
}

/** Return the summary of the run that classified this image, or null. `folder` holds it where there is no project. */
Map earlierSummary(Map place, File folder) {
    def file = place.folder == null ? new File(folder, 'summary.json') : summaryFile(place)
    return file.isFile() ? readJson(file) : null
}

/**
 * Bring a folder of results into the image and its project, and return what was done.
 *
 * All is read and planned first; whatever fails later is taken back. `summary`: that of the folder. `run`: "which"
 * objects were classified; whether they come "fromQuPath"; the folder that the results are moved "to", or null;
 * the "slide".
 */
String takeResults(Map place, File folder, Map summary, Map run) {
    def whole = run.which != 'selected'
    def threshold = thresholdOf(earlierSummary(place, resultFolder(place, run.slide)))
    def plan = plannedUpdates(readJson(new File(folder, 'objects.geojson')), threshold, run.fromQuPath, whole)
    def created = createdObjects(plan.added)
    def text = new File(folder, 'summary.json').getText('UTF-8')
    // The last moment to cancel: after it, things are changed.
    endCancelling()
    if (Thread.interrupted())
        throw new InterruptedException()
    keepDataFile(place)
    def undo = []
    try {
        if (run.to != null)
            moveFolder(folder, run.to, undo)
        if (whole)
            keepRun(place, summary, text, run.which, undo)
        applyUpdates(plan, created, undo)
        listClasses(place, plan.updates*.old + created)
    } catch (Throwable e) {
        undo.reverse().each { takeBack(it) }
        throw e
    }
    if (run.to != null)
        formerFolder(run.to).deleteDir()
    if (whole && place.folder != null && place.alone)
        watchSaving(place, runId(text))
    def outcome = whole ? outcomeText(summary) : selectionText(summary, plan.updates)
    def kept = (plan.updates + plan.added).count { it.kept }
    def answered = whole ? [reviewText(summary.review)].findAll() : []
    def objects = updateText(plan.told, kept)
    if (whole && place.alone)
        place.result = [folder: run.to ?: folder, lines: resultLines(summary, objects)]
    return ([outcome] + answered + objects).join('; ')
}

/** Put the classes of objects, and the one that says "no mitosis", into QuPath's list of classes, or the project's. */
void listClasses(Map place, List objects) {
    def wanted = objects.collect { it.getPathClass() }.findAll { it != null }.unique()
    if (objects.any { !Double.isNaN(it.getMeasurementList().get('P(atypical)')) })
        wanted << classOf(['Non-mitosis'], [128, 128, 128])
    def gui = getQuPath()
    def there = new ArrayList(gui != null ? gui.getAvailablePathClasses() : place.project?.getPathClasses() ?: [])
    def missing = wanted.findAll { !there.contains(it) }
    if (gui != null)
        // QuPath gives them to the project.
        inWindows { gui.getAvailablePathClasses().addAll(missing) }
    else if (place.project != null)
        place.project.setPathClasses(there + missing)
}

/** Take one step back. Where that fails too, the rest must still be taken back. */
void takeBack(Closure step) {
    try {
        step()
    } catch (Exception e) {
        say("could not be taken back: ${reasonOf(e)}")
    }
}

/** Move a folder of results into the place of an earlier one. */
void moveFolder(File from, File to, List undo) {
    def former = formerFolder(to)
    former.deleteDir()
    makeFolder(to.getParentFile())
    if (to.exists()) {
        Files.move(to.toPath(), former.toPath())
        undo << { -> Files.move(former.toPath(), to.toPath()) }
    }
    Files.move(from.toPath(), to.toPath())
    undo << { -> Files.move(to.toPath(), from.toPath()) }
}

File formerFolder(File folder) {
    return new File(folder.getParentFile(), folder.getName() + '.former')
}

/**
 * Give the image the id of the run, which is saved with its objects; and in a project the image's metadata, and the
 * summary of the run that its objects are from.
 */
void keepRun(Map place, Map summary, String text, String which, List undo) {
    def data = getCurrentImageData()
    def id = runId(text)
    def before = data.getProperty('slidemitosis.run')
    undo << { ->
        if (before == null)
            data.removeProperty('slidemitosis.run')
        else
            data.setProperty('slidemitosis.run', before)
    }
    data.setProperty('slidemitosis.run', id)
    if (place.folder == null)
        return
    // The person who runs it alone has yet to save.
    def told = imageMetadata(summary, which) + ['AMF run': place.alone ? id + NOT_SAVED : id]
    def ours = told.keySet() + reviewMetadata([:]).keySet()
    def former = place.entry.getMetadataMap().findAll { key, value -> key in ours }
    undo << { -> replaceMetadata(place, ours, former) }
    replaceMetadata(place, ours, told)
    def file = summaryFile(place)
    def earlier = file.isFile() ? file.getText('UTF-8') : null
    undo << { -> earlier == null ? Files.deleteIfExists(file.toPath()) : writeWhole(file, earlier) }
    writeWhole(file, text)
}

/** Give the image's entry these metadata, and no others of the names `ours`. */
void replaceMetadata(Map place, Set<String> ours, Map<String, String> told) {
    ours.each { place.entry.removeMetadataValue(it) }
    told.each { key, value -> place.entry.putMetadataValue(key, value) }
    place.project.syncChanges()
}

/** Return the metadata of the image, by name; NA where there is no number. */
Map<String, String> imageMetadata(Map summary, String which) {
    def interval = summary.fraction_amf_of_all_wilson_95
    def expected = summary.expected_fraction_amf_of_all_figures_95
    def texts = [
        'AMF expected fraction': decimals(summary.expected_fraction_amf_of_all, 4),
        'AMF expected fraction, 95 % from': decimals(expected == null ? null : expected[0], 4),
        'AMF expected fraction, 95 % to': decimals(expected == null ? null : expected[1], 4),
        'AMF fraction': decimals(summary.fraction_amf_of_all, 4),
        'AMF fraction, 95 % from': decimals(interval == null ? null : interval[0], 4),
        'AMF fraction, 95 % to': decimals(interval == null ? null : interval[1], 4),
        'AMF count': whole(summary.counts.atypical),
        'NMF count': whole(summary.counts.normal),
        'AMF candidates': whole(summary.counts.candidates),
        'AMF model': "${summary.model.name} ${summary.model.version}",
        'AMF operating point': summary.model.operating_point ?: 'balanced',
        'AMF threshold': decimals(summary.model.threshold, 4),
        'AMF objects': which,
    ]
    def answered = summary.review == null ? [:] : reviewMetadata(summary.review)
    return (texts + answered).collectEntries { key, value -> [key, value.toString()] }
}

/** Return the metadata that say what persons' answers come to: `review` of a summary. */
Map reviewMetadata(Map review) {
    def interval = review.combined_fraction_amf_of_all_figures_95
    return [
        'AMF reviewed fraction': decimals(review.reviewed_fraction_amf_of_all, 4),
        'AMF combined fraction': decimals(review.combined_fraction_amf_of_all, 4),
        'AMF combined fraction, 95 % from': decimals(interval == null ? null : interval[0], 4),
        'AMF combined fraction, 95 % to': decimals(interval == null ? null : interval[1], 4),
        'AMF review': review.because,
    ]
}
