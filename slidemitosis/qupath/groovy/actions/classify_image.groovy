/*
 * slidemitosis in QuPath 0.4 to 0.8: classify candidate mitoses as normal or atypical. For research use only.
 *
 * Which objects: those of CANDIDATE_CLASS and its derived classes, such as "Mitosis: Atypical". Where a person runs it
 * on the image that is open and has selected some, it asks: these, or all. Under "Run for project" and on the command
 * line (QuPath script -s -p project.qpproj classify_image.groovy) a selection does not count.
 *
 * What it does: exports them, runs "slidemitosis classify" on the image's own file, and updates the same objects,
 * found by their ids: class, measurements and, from QuPath 0.6, metadata. Nothing else of them is touched. A points
 * object with several points becomes an object for each point. In a project, the image gets metadata (AMF fraction,
 * counts, model), and <project>/slidemitosis/ the results and a row in status.csv: done, or failed and why. A run on
 * selected objects updates these, and nothing of the slide. Whatever fails, or is cancelled by "Kill running script",
 * leaves everything as it was.
 *
 * What it refuses: an image that is not one local file, and one that QuPath shows rotated, cropped, transformed,
 * sliced or put together: its coordinates are not the file's.
 */

import groovy.transform.Field

import static qupath.lib.gui.scripting.QPEx.*

// ---- Settings. What stands here is used, and nothing else is remembered.

/** The Python that slidemitosis is installed in. "slidemitosis qupath install" fills it in. */
@Field String PYTHON = null
/** The class of the objects to classify. Unclassified: those without one. */
@Field String CANDIDATE_CLASS = 'Mitosis'
/** Name of a model, or its folder; '' is the one that "slidemitosis classify" takes by itself. */
@Field String MODEL = ''
/** Whether a class that was set by hand stays where it differs from what the last run said. */
@Field boolean KEEP_CORRECTIONS = true

// ---- What is done.

@Field String SCRIPT = 'classify_image'
@Field String INSTALL = 'run "slidemitosis qupath install" where slidemitosis is installed, which fills in PYTHON here'

reported { Map place -> classifyImage(place) }

String classifyImage(Map place) {
    def image = checkedImage(place)
    refuseUnsaved(place)
    refuseUnreadable(place)
    settleRun(place)
    if (PYTHON == null || PYTHON.isEmpty())
        refuse("no Python is set; ${INSTALL}")
    def wanted = candidateObjects(CANDIDATE_CLASS)
    def objects = askedFor(place, wanted)
    if (objects == null)
        return null
    def selected = !objects.is(wanted)
    if (selected)
        refuseRegions(objects, image)
    else if (objects.isEmpty() && allObjects().any { !Double.isNaN(it.getMeasurementList().get('P(atypical)')) })
        // Of another class, which an earlier run has classified: what is known of these is kept.
        return "${noObjects()}; nothing was changed".toString()
    def which = selected ? 'selected' : "class ${CANDIDATE_CLASS}".toString()
    def folder = selected ? selectionFolder(place, image.slide) : resultFolder(place, image.slide)
    refuseStranger(place, folder, image)
    def work = workFolder(place, image.slide)
    say("${objects.size()} objects (${which}${selected ? '' : ', CANDIDATE_CLASS of this script'}), " +
        "model ${MODEL ?: 'default'}, ${PYTHON}")
    try {
        def of = objects.collect { className(it) }.findAll { selected || isOfClass(it, CANDIDATE_CLASS) }
        def classes = of.isEmpty() ? [CANDIDATE_CLASS] : of
        def summary = classified(image, objects, classes, work)
        def told = takeResults(place, work, summary, [which: which, fromQuPath: true, to: folder, slide: image.slide])
        return objects.isEmpty() ? noObjects() : told
    } finally {
        work.deleteDir()
        if (place.folder != null)
            work.getParentFile().delete() // if nothing else is in it
    }
}

String noObjects() {
    return "no object of class ${CANDIDATE_CLASS}, and so no rate; the classes here: ${classCounts()}".toString()
}

/** Classify objects in a folder for the work, and return the summary. */
Map classified(Map image, List objects, Collection<String> classes, File work) {
    work.deleteDir()
    makeFolder(work)
    def points = new File(work, 'points.geojson')
    exportObjectsToGeoJson(objects, points.getAbsolutePath(), 'FEATURE_COLLECTION')
    runCommand(classifyCommand(PYTHON, image, points, work, MODEL, classes))
    def summary = readJson(new File(work, 'summary.json'))
    refuseOtherImage(summary, image, true)
    return summary
}

/** Return the objects to classify: `wanted`, or those that are selected; null where the person cancels. */
List askedFor(Map place, List wanted) {
    def selected = place.alone ? selectedObjects() : []
    if (selected.isEmpty())
        return wanted
    if (wanted.isEmpty())
        return selected
    def choices = ["${selected.size()} selected", "all ${wanted.size()} of class ${CANDIDATE_CLASS}"]*.toString()
    boolean shown = false
    def chosen = show {
        shown = true
        it.showChoiceDialog('slidemitosis', 'Classify which objects?', choices, choices[0])
    }
    // A run on a selection leaves the slide's results alone.
    if (!shown || chosen == choices[0])
        return selected
    return chosen == null ? null : wanted
}

/** Return the folder in which "slidemitosis classify" works, until all is known to be right. */
File workFolder(Map place, File slide) {
    return place.folder == null ? new File(slide.getParentFile(), ".${slide.getName()}.slidemitosis-work") :
        new File(place.folder, 'work/' + fileName(place.id))
}

File selectionFolder(Map place, File slide) {
    return place.folder == null ? new File(slide.getParentFile(), "${slide.getName()}.selected.slidemitosis") :
        new File(place.folder, 'selections/' + fileName(place.id))
}

/** Throw if results would replace a folder beside the slide that is not this script's. That in a project always is. */
void refuseStranger(Map place, File folder, Map image) {
    if (place.folder != null || !folder.exists() || folder.list()?.length == 0)
        return
    def summary = new File(folder, 'summary.json')
    if (!summary.isFile() || !isSameSlide(readJson(summary), image.slide, true))
        refuse("${folder}: is there already, and holds no results of this slide; move it away")
}

/** Return the command line, word by word: no shell reads it, so spaces and quotes need no care. */
List<String> classifyCommand(
        String python, Map image, File points, File folder, String model, Collection<String> classes) {
    def words = [
        python, '-I', '-m', 'slidemitosis', 'classify', image.slide.getPath(),
        '--points', points.getAbsolutePath(), '--out', folder.getAbsolutePath(),
        '--viewer-size', "${image.width}x${image.height}", "--viewer-server=${image.server}",
        '--progress', 'json',
    ]
    if (!Double.isNaN(image.mppX) && !Double.isNaN(image.mppY))
        words += ['--mpp', "${image.mppX},${image.mppY}"]
    if (!model.isEmpty())
        words += ["--model=${model}"]
    words += new LinkedHashSet(classes).collect { "--candidate-class=${it}" }
    return words.collect { it.toString() }
}

/** Return the selected objects that can be candidates. */
List selectedObjects() {
    return new ArrayList(getCurrentHierarchy().getSelectionModel().getSelectedObjects()).findAll { canBeCandidate(it) }
}

/** Objects wider than this, in um, are regions that hold figures; "slidemitosis classify" has the same limit. */
@Field double WIDEST_UM = 100

/** Throw if a region is selected. QuPath selects what was drawn last: a tumour would be called atypical or normal. */
void refuseRegions(List objects, Map image) {
    def wide = objects.findAll { isRegion(it.getROI(), image) }
    if (!wide.isEmpty())
        refuse("${wide.size()} of ${objects.size()} selected objects are wider than ${(int) WIDEST_UM} um: regions, " +
            "no figures; select figures, or nothing for all of the class ${CANDIDATE_CLASS}")
}

boolean isRegion(roi, Map image) {
    double um = Math.max(roi.getBoundsWidth() * image.mppX, roi.getBoundsHeight() * image.mppY)
    return !roi.isPoint() && !Double.isNaN(um) && um > WIDEST_UM
}

// parts: process, objects, classes, calls, summary, results, updates, saved, image, report, batch, files
