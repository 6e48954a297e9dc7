/*
 * slidemitosis in QuPath 0.4 to 0.8: classify candidate mitoses as normal or atypical. For research use only.
 *
 * Which objects: those that are selected. Where none is, under "Run for project", and on the command line
 * (QuPath script -s -p project.qpproj classify_image.groovy): those of CANDIDATE_CLASS and its derived classes,
 * such as "Mitosis: Atypical".
 *
 * What it does: exports them, runs "slidemitosis classify" on the image's own file, and updates the same objects,
 * found by their ids: class, measurements and, from QuPath 0.6, metadata. Nothing else of them is touched. A points
 * object with several points becomes an object for each point. In a project, the image gets metadata (AMF fraction,
 * counts, model), and <project>/slidemitosis/ the results and a row in status.csv: done, or failed and why.
 * Whatever fails, or is cancelled by "Kill running script", leaves the objects as they were.
 *
 * What it refuses: an image that is not one local file, and one that QuPath shows rotated, cropped, transformed,
 * sliced or put together: its coordinates are not the file's.
 */

import groovy.transform.Field

import static qupath.lib.gui.scripting.QPEx.*

// ---- Settings. QuPath remembers what stands here; null takes what it remembers, or else the default.

/** The Python that slidemitosis is installed in. "slidemitosis qupath install" fills it in. No default. */
@Field String PYTHON = null
/** The class of the objects to classify where none is selected. Default: Mitosis. Unclassified: those without one. */
@Field String CANDIDATE_CLASS = null
/** Name of a model, or its folder. Default, which '' takes again: that of "slidemitosis classify". */
@Field String MODEL = null
/** Whether a class that was set by hand stays where it differs from what the last run said. */
@Field boolean KEEP_CORRECTIONS = true

// ---- What is done.

@Field String SCRIPT = 'classify_image'
@Field String INSTALL = 'run "slidemitosis qupath install" where slidemitosis is installed, which fills in PYTHON here'

reported { Map place -> classifyImage(place) }

String classifyImage(Map place) {
    def image = checkedImage(place)
    def python = setting('python', PYTHON, '')
    if (python.isEmpty())
        refuse("no Python is set; ${INSTALL}")
    def wanted = setting('candidateClass', CANDIDATE_CLASS, 'Mitosis')
    def model = setting('model', MODEL, '')
    def objects = place.alone ? selectedObjects() : []
    refuseRegions(objects, image, wanted)
    def which = objects.isEmpty() ? "class ${wanted}".toString() : 'selected'
    if (objects.isEmpty())
        objects = objectsOfClass(wanted)
    if (objects.isEmpty())
        refuse("no object is selected and none has the class ${wanted}; the classes here: ${classCounts()}")
    def folder = resultFolder(place, image.slide)
    def threshold = thresholdOf(earlierSummary(place, folder))
    makeFolder(folder)
    def points = new File(folder, 'points.geojson')
    exportObjectsToGeoJson(objects, points.getAbsolutePath(), 'FEATURE_COLLECTION')
    say("${objects.size()} objects (${which}), model ${model ?: 'default'}, ${python}")
    runCommand(classifyCommand(python, image, points, folder, model, objects.collect { className(it) }))
    def summary = readJson(new File(folder, 'summary.json'))
    refuseOtherImage(summary, image)
    return takeResults(place, folder, summary, threshold, which)
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
void refuseRegions(List objects, Map image, String wanted) {
    def wide = objects.findAll { isRegion(it.getROI(), image) }
    if (!wide.isEmpty())
        refuse("${wide.size()} of ${objects.size()} selected objects are wider than ${(int) WIDEST_UM} um: regions, " +
            "no figures; select figures, or nothing for all of the class ${wanted}")
}

boolean isRegion(roi, Map image) {
    double um = Math.max(roi.getBoundsWidth() * image.mppX, roi.getBoundsHeight() * image.mppY)
    return !roi.isPoint() && !Double.isNaN(um) && um > WIDEST_UM
}

// parts: process, objects, classes, calls, summary, results, image, report, files
