/*
 * slidemitosis in QuPath 0.4 to 0.8: classify candidate mitoses as normal or atypical. For research use only.
 *
 * Which objects: those of CANDIDATE_CLASS and its derived classes, such as "Mitosis: Atypical". Where a person runs it
 * on the image that is open, it asks: these, those that are selected or lie in a selected annotation, or another class.
 * Under "Run for project" and on the command line (QuPath script -s -p project.qpproj classify_image.groovy) a
 * selection does not count, and the settings below do.
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
import qupath.lib.plugins.workflow.DefaultScriptableWorkflowStep
import qupath.lib.scripting.ScriptAttributes

import static qupath.lib.gui.scripting.QPEx.*

// ---- Settings. Where a person is asked, the dialog shows them, or what was chosen in it the last time.

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
    def asked = askedFor(place, image)
    if (asked == null)
        return null
    if (asked.python.isEmpty())
        refuse("no Python is set; ${INSTALL}")
    if (asked.selected && asked.objects.isEmpty())
        refuse("no object of class ${asked.base} lies in what is selected; the classes here: ${classCounts()}")
    if (asked.objects.isEmpty() && !figuresOf(getCurrentHierarchy()).isEmpty())
        // Of another class, which an earlier run has classified: what is known of these is kept.
        return "${noObjects(asked)}; nothing was changed".toString()
    def folder = asked.selected ? selectionFolder(place, image.slide) : resultFolder(place, image.slide)
    refuseStranger(place, folder, image)
    def work = workFolder(place, image.slide)
    def count = plural(figureCount(asked.objects), 'figure')
    say("${count} (${asked.which}), model ${asked.model ?: DEFAULT_MODEL}, ${asked.python}")
    if (place.alone)
        openProgress(place)
    try {
        def summary = classified(image, asked, work)
        def told = takeResults(place, work, summary,
            [which: asked.which, fromQuPath: true, to: folder, slide: image.slide])
        if (!asked.objects.isEmpty()) {
            noteInWorkflow(asked)
            return told
        }
        place.remove('result')
        return noObjects(asked)
    } finally {
        closeProgress()
        work.deleteDir()
        if (place.folder != null)
            work.getParentFile().delete() // if nothing else is in it
    }
}

/** Show the run in QuPath's Workflow, which can make a script of it: one that does the same wherever it is run. */
void noteInWorkflow(Map asked) {
    def file = asked.script ?: attribute(ScriptAttributes.FILE_PATH)
    if (file == null)
        return
    def kept = [script: file, base: asked.base, model: asked.model]
    if (asked.python != PYTHON)
        kept.python = asked.python
    def words = kept.collect { name, value ->
        "${name}: '${value.toString().replace('\\', '\\\\').replace("'", "\\'")}'"
    }
    def script = asked.selected ? '// slidemitosis classified what was selected, which no script can select again' :
        "slidemitosis = [${words.join(', ')}]\nevaluate(new File(slidemitosis.script))".toString()
    def told = [objects: asked.which, model: asked.model ?: DEFAULT_MODEL]
    def step = new DefaultScriptableWorkflowStep('slidemitosis: classify mitoses', told, script)
    getCurrentImageData().getHistoryWorkflow().addStep(step)
}

String noObjects(Map asked) {
    return "no object of class ${asked.base}, and so no rate; the classes here: ${classCounts()}".toString()
}

/** Classify the objects that are asked for in a folder for the work, and return the summary. */
Map classified(Map image, Map asked, File work) {
    work.deleteDir()
    makeFolder(work)
    def points = new File(work, 'points.geojson')
    exportObjectsToGeoJson(asked.objects, points.getAbsolutePath(), 'FEATURE_COLLECTION')
    def classes = asked.objects.collect { className(it) }.findAll { asked.selected || isOfClass(it, asked.base) }
    runCommand(classifyCommand(asked.python, image, points, work, asked.model, classes ?: [asked.base]))
    tellProgress('bringing the results into the image', -1)
    def summary = readJson(new File(work, 'summary.json'))
    refuseOtherImage(summary, image, true)
    return summary
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

// parts: process, dialog, progress, window, outcome, shown, objects, classes, calls, summary, results, updates,
// saved, image, report, batch, files
