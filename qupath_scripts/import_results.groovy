/*
 * slidemitosis in QuPath 0.4 to 0.8: bring results that were computed elsewhere, by "slidemitosis classify" or
 * "slidemitosis cohort", into the image that is open. For research use only.
 *
 * Which results: those of the first argument, if there is one (an objects.geojson, or a folder of results, or a
 * folder that holds such folders, such as that of a cohort); else, if a person runs it, those that are chosen in a
 * dialog; else, under "Run for project" and on the command line, those of the last run on this image.
 *
 * What it does: the same objects, found by their ids, get class, measurements and, from QuPath 0.6, metadata. Objects
 * that were deleted since stay so; candidates from elsewhere are added to an image that has none of them. A points
 * object is replaced if each of its points has come back as an object of its own. In a project the image gets metadata,
 * as by classify_image.groovy.
 *
 * What it refuses: results of another image, with another origin, or without the summary.json that says these.
 */

// Put together from slidemitosis/qupath/groovy: an action, and the parts between ">>>" and "<<<". Change
// only settings here; change anything else there, and run: python -m slidemitosis.qupath.assemble

import com.google.gson.Gson
import com.google.gson.GsonBuilder
import com.google.gson.JsonParseException
import com.google.gson.ToNumberPolicy
import groovy.transform.Field
import java.math.RoundingMode
import java.nio.file.AccessDeniedException
import java.nio.file.FileAlreadyExistsException
import java.nio.file.FileSystemException
import java.nio.file.Files
import java.nio.file.StandardCopyOption
import java.security.MessageDigest
import java.util.concurrent.ExecutionException
import java.util.concurrent.FutureTask
import javafx.application.Platform
import javafx.geometry.Insets
import javafx.scene.Scene
import javafx.scene.control.Button
import javafx.scene.control.Label
import javafx.scene.control.ProgressBar
import javafx.scene.control.TextArea
import javafx.scene.layout.HBox
import javafx.scene.layout.VBox
import javafx.stage.FileChooser
import javafx.stage.Stage
import org.slf4j.LoggerFactory
import qupath.lib.common.GeneralTools
import qupath.lib.gui.QuPathGUI
import qupath.lib.gui.commands.Commands
import qupath.lib.gui.commands.PathObjectGridView
import qupath.lib.gui.dialogs.ParameterPanelFX
import qupath.lib.gui.tools.GuiTools
import qupath.lib.images.servers.ImageServerBuilder
import qupath.lib.io.GsonTools
import qupath.lib.io.PathIO
import qupath.lib.objects.classes.PathClass
import qupath.lib.plugins.parameters.ParameterList
import qupath.lib.projects.Projects
import qupath.lib.scripting.ScriptAttributes

import static qupath.lib.gui.scripting.QPEx.*

// ---- Settings.

/** Whether a class that was set by hand stays where it differs from what the last run said. */
@Field boolean KEEP_CORRECTIONS = true

// ---- What is done.

@Field String SCRIPT = 'import_results'

reported { Map place -> importResults(place) }

String importResults(Map place) {
    def image = checkedImage(place)
    refuseUnsaved(place)
    refuseUnreadable(place)
    settleRun(place)
    def folder = chosenFolder(place, image)
    if (folder == null)
        return null
    def file = new File(folder, 'summary.json')
    if (!file.isFile())
        refuse("${folder}: has no summary.json, so that nothing says of which slide these results are; take the " +
            'whole folder that slidemitosis wrote')
    def summary = readJson(file)
    def named = namedEntry(summary)
    refuseOtherImage(summary, image, named != null && named == fileName(place.id))
    return takeResults(place, folder, summary, [which: 'imported', fromQuPath: named != null, slide: image.slide])
}

/** Return the folder of the results to take; null where a person has chosen none. */
File chosenFolder(Map place, Map image) {
    def words = attribute('args')
    def usual = resultFolder(place, image.slide)
    if (words != null && words.length > 0)
        return folderOf(new File(words[0]), place, image)
    if (!place.alone)
        return usual
    def chosen = askForFile(usual)
    return chosen == null ? null : folderOf(chosen, place, image)
}

/** Return the folder that is meant: of a file, of results, or the one of this image among folders of results. */
File folderOf(File chosen, Map place, Map image) {
    if (chosen.isFile() && chosen.getName() != 'objects.geojson')
        refuse("${chosen}: is not an objects.geojson of slidemitosis; choose that, or its folder")
    if (chosen.isFile())
        return chosen.getAbsoluteFile().getParentFile()
    if (!chosen.isDirectory())
        refuse("${chosen}: no such file or folder")
    if (new File(chosen, 'objects.geojson').isFile())
        return chosen
    // The results of a cohort are in its folder "slides".
    def folders = [chosen, new File(chosen, 'slides')].collectMany { (it.listFiles() ?: []) as List }
    def found = resultsOf(folders.findAll { new File(it, 'summary.json').isFile() }, place, image)
    if (found.size() != 1)
        refuse("${chosen}: ${found.size()} of the folders in it are results of ${image.slide.getName()} " +
            "(${found.collect { it.getName() }.sort().join(', ') ?: 'none'}); choose the one that is meant")
    return found[0]
}

/**
 * Return the folders of results that are of this image: those whose candidates were exported from this very image of
 * the project, or else those of its slide whose candidates came from elsewhere.
 */
List<File> resultsOf(List<File> folders, Map place, Map image) {
    def summaries = folders.collectEntries { [it, readJson(new File(it, 'summary.json'))] }
    def own = place.id.isEmpty() ? null : fileName(place.id)
    def ofSlide = summaries.findAll { folder, summary ->
        isSameSlide(summary, image.slide, own != null && namedEntry(summary) == own)
    }
    def exported = ofSlide.findAll { folder, summary -> own != null && namedEntry(summary) == own }
    def others = ofSlide.findAll { folder, summary -> own == null || namedEntry(summary) == null }
    return new ArrayList((exported ?: others).keySet())
}

/** Return the image of a project, by its file name, that the candidates were exported from; null if from elsewhere. */
String namedEntry(Map summary) {
    def path = summary.points instanceof Map ? summary.points.path : null
    def parts = path == null ? [] : path.toString().split('[/\\\\]') as List
    if (parts.size() > 1 && parts[-2] == 'candidates' && parts[-1].endsWith('.geojson'))
        return parts[-1] - '.geojson'
    return parts.size() > 2 && parts[-3] in ['results', 'work'] && parts[-1] == 'points.geojson' ? parts[-2] : null
}

/** Return the file that a person chooses, or null. */
File askForFile(File start) {
    return inWindows {
        def chooser = new FileChooser()
        chooser.setTitle('objects.geojson of slidemitosis')
        if (start.isDirectory())
            chooser.setInitialDirectory(start)
        chooser.showOpenDialog(getQuPath().getStage())
    }
}

// >>> window
/** Return what `work` returns in the thread of the windows, to which all that they show belongs. */
Object inWindows(Closure work) {
    if (Platform.isFxApplicationThread())
        return work.call()
    def task = new FutureTask(work)
    Platform.runLater(task)
    try {
        return task.get()
    } catch (ExecutionException e) {
        throw e.getCause()
    }
}

/** Return a window that leaves QuPath usable, and goes with it; only in the thread of the windows. */
Stage windowOf(String title, List nodes, List<Button> buttons) {
    def row = new HBox(6.0d)
    row.getChildren().addAll(buttons)
    def box = new VBox(10.0d)
    box.setPadding(new Insets(12.0d))
    box.getChildren().addAll(nodes + row)
    def stage = new Stage()
    stage.initOwner(getQuPath().getStage())
    stage.setTitle(title)
    stage.setScene(new Scene(box))
    return stage
}

Button buttonOf(String text, Closure pressed) {
    def button = new Button(text)
    button.setOnAction { pressed.call() }
    return button
}

/** Show parameters as QuPath's own commands do, above a row of nodes; whether the person agrees. */
boolean confirmed(String title, ParameterList params, List row) {
    return inWindows {
        def below = new HBox(6.0d)
        below.getChildren().addAll(row)
        def box = new VBox(10.0d)
        box.getChildren().addAll([new ParameterPanelFX(params).getPane(), below])
        // Where QuPath's dialogs cannot be reached, what would be shown is taken.
        show { it.showConfirmDialog(title, box) } != false
    }
}
// <<< window

// >>> progress
/** The window that shows how far a run is; null where none is shown. */
@Field Map PROGRESS = null

/** Show how far this run is, with a button that cancels it as "Kill running script" does. */
void openProgress(Map place) {
    def running = Thread.currentThread()
    PROGRESS = inWindows {
        def label = new Label('starting')
        def bar = new ProgressBar(-1.0d)
        bar.setPrefWidth(420.0d)
        def cancel = buttonOf('Cancel') { running.interrupt() }
        def stage = windowOf("slidemitosis: ${place.name}".toString(), [label, bar], [cancel])
        // To close it is not to cancel: the run would go on unseen.
        stage.setOnCloseRequest { it.consume() }
        stage.show()
        [stage: stage, label: label, bar: bar, cancel: cancel]
    }
}

/** Say how far the run is; `fraction` is negative where that cannot be told. */
void tellProgress(CharSequence text, double fraction) {
    def shown = PROGRESS
    if (shown != null)
        inWindows {
            shown.label.setText(text.toString())
            shown.bar.setProgress(fraction)
        }
}

/** Take the button away: from now on things are changed. */
void endCancelling() {
    def shown = PROGRESS
    if (shown != null)
        inWindows { shown.cancel.setDisable(true) }
}

void closeProgress() {
    def shown = PROGRESS
    PROGRESS = null
    if (shown != null)
        javafx.application.Platform.runLater({ shown.stage.close() } as Runnable)
}
// <<< progress

// >>> outcome
/** Return the outcome: "atypical fraction 21 % (95 % interval 13 to 30 %) of 40 figures; 8 called atypical". */
String outcomeText(Map summary) {
    def counts = summary.counts
    def figures = (long) counts.classified + (long) (counts.uncertain ?: 0)
    def left = (long) counts.candidates - figures
    def further = left > 0 ? ", ${left} not classified" : ''
    if (figures == 0)
        return "none of ${whole(counts.candidates)} candidates could be classified"
    if (summary.expected_fraction_amf_of_all == null) // of a version that knew the calls alone
        return "${whole(counts.atypical)} of ${whole(counts.classified)} called atypical${further}"
    def interval = summary.expected_fraction_amf_of_all_figures_95
    return "atypical fraction ${percent(summary.expected_fraction_amf_of_all)} % " +
        (interval == null ? '(no interval)' : "(95 % interval ${percent(interval[0])} to ${percent(interval[1])} %)") +
        " of ${figures} figures; ${whole(counts.atypical)} called atypical${further}"
}

/** Return a fraction in per cent, with two digits. */
String percent(Number fraction) {
    def value = 100 * (fraction as double)
    return decimals(value, value >= 9.95 || value == 0 ? 0 : 1)
}

String whole(Number value) {
    return String.valueOf(value as long)
}

/** Return what was said of selected figures: of one, its call, P(atypical) and subtype. */
String selectionText(Map summary, List<Map> updates) {
    def counts = summary.counts
    if (updates.size() != 1)
        return "${whole(counts.candidates)} selected: ${whole(counts.atypical)} called atypical, " +
            "${whole(counts.normal)} normal"
    def told = updates[0]
    def p = told.put['P(atypical)']
    if (p == null)
        return "not classified: ${told.metadata['slidemitosis.reason'] ?: told.metadata['slidemitosis.status']}"
    def call = told.metadata['slidemitosis.status'] == 'uncertain' ? 'uncertain' :
        p >= told.put['Call threshold'] ? 'atypical' : 'normal'
    def subtype = told.metadata['slidemitosis.subtype']
    return "${call}, P(atypical) ${decimals(p, 3)} (atypical from ${decimals(told.put['Call threshold'], 3)})" +
        (subtype == null ? '' : ", ${subtype}")
}

/** Return what the answers of persons come to, or '' where nobody has answered. */
String reviewText(Map review) {
    if (review == null)
        return ''
    def told = [[review.reviewed_fraction_amf_of_all, 'by the answers alone'],
        [review.combined_fraction_amf_of_all, 'by answers and model together']]
        .findAll { it[0] != null }.collect { "${percent(it[0])} % ${it[1]}" }
    return "${plural(review.answered, 'answer')} of persons counted: ${(told + review.because).join(', ')}".toString()
}

/** Return what a run has found, a line for each thing. `objects`: what was done to the image's objects, or ''. */
List<String> resultLines(Map summary, String objects) {
    def spot = summary.hot_spot
    def warnings = (summary.warnings ?: []) as List
    def left = (summary.not_classified ?: []) as List
    def lines = [
        "Model: ${outcomeText(summary)}",
        "Calls: ${summary.counts.atypical as long} atypical, ${summary.counts.normal as long} normal" +
            (summary.counts.uncertain ? ", ${summary.counts.uncertain as long} uncertain" : '') +
            "; atypical from ${decimals(summary.model.threshold, 3)}",
        "Review: ${reviewText(summary.review) ?: 'nobody has answered yet'}",
        spot == null ? null : "Hot spot: ${plural(spot.mitoses, 'mitosis')}, " +
            "${whole(spot.atypical)} called atypical, in ${decimals(spot.mm2_on_slide ?: spot.mm2, 2)} mm2",
        summary.expected_hard == null ? null : "Doubtful: experts are expected to disagree on " +
            "${decimals(summary.expected_hard, 0)} figures; sort by P(experts disagree) to see which",
        left.isEmpty() ? null : "Not classified: ${notClassified(left)}",
        objects.isEmpty() ? null : "Objects: ${objects}",
    ] + warnings.collect { "Note: ${inQuPathsWords(it)}" }
    lines << "${summary.model.name} ${summary.model.version}. For research use only."
    return lines.findAll { it != null }*.toString()
}

/** Return how many figures were not classified, by the reason. */
String notClassified(List<Map> left) {
    return left.countBy { it.reason ?: it.status }.collect { reason, count -> "${count} (${reason})" }.join(', ')
}
// <<< outcome

// >>> shown
/** Show a result until it is closed. `folder`: that of the results. */
void showResult(Map place, File folder, List<String> lines) {
    def data = getCurrentImageData()
    inWindows {
        // Where nothing is set to open a folder or a page, QuPath's buttons do nothing, and only its log says so.
        def text = new TextArea((lines + "Files: ${folder}").join('\n'))
        text.setEditable(false)
        text.setWrapText(true)
        text.setPrefRowCount(lines.size() + 5)
        text.setPrefColumnCount(60)
        def report = new File(folder, 'report.html')
        def open = buttonOf('Open report') { GuiTools.browseURI(report.toURI()) }
        open.setDisable(!report.isFile())
        windowOf("slidemitosis: result of ${place.name}".toString(), [text], [
            buttonOf('Show figures') { showFigures() },
            buttonOf('Show table') { showTable(data) },
            open,
            buttonOf('Open folder') { GuiTools.browseDirectory(folder) },
        ]).show()
    }
}

/** Show the table of the kind of objects that the figures are. */
void showTable(data) {
    def figures = figuresOf(data.getHierarchy())
    if (figures.any { it.isDetection() } || figures.isEmpty())
        Commands.showDetectionMeasurementTable(QuPathGUI.getInstance(), data)
    else
        Commands.showAnnotationMeasurementTable(QuPathGUI.getInstance(), data)
}

/** Show QuPath's grid of the figures, the most doubtful first; a double-click goes to one. */
void showFigures() {
    def grid = PathObjectGridView.createGridView(QuPathGUI.getInstance(), { figuresOf(it) })
    def stage = grid.getStage()
    stage.setTitle('slidemitosis: figures')
    // QuPath 0.5 makes it as high as the grid is before it holds anything.
    stage.setHeight(600d)
    grid.show()
    grid.refresh()
    // QuPath has no other way to say by what the grid is sorted.
    def sorts = stage.getScene().getRoot().lookupAll('.combo-box').findAll { it.getItems().contains('P(atypical)') }
    sorts.each { box ->
        box.getSelectionModel().select(['P(experts disagree)', 'P(atypical)'].find { box.getItems().contains(it) })
    }
}

/** Return the figures of an image: what a run has classified. */
List figuresOf(hierarchy) {
    return new ArrayList(hierarchy.getAllObjects(false)).findAll {
        canBeCandidate(it) && !Double.isNaN(it.getMeasurementList().get('P(atypical)'))
    }
}
// <<< shown

// >>> classes
/** Return every object of the image as a list; QuPath gives a set. */
List allObjects() {
    return new ArrayList(getCurrentHierarchy().getAllObjects(false))
}

boolean canBeCandidate(object) {
    return object.hasROI() && !object.isTMACore() && !object.isRootObject() && !isHotSpot(object)
}

/** Return whether an object is the hot spot that slidemitosis has drawn: a region, no figure. */
boolean isHotSpot(object) {
    return className(object) == 'Hot spot' && !Double.isNaN(object.getMeasurementList().get('Spot mm2'))
}

/** Return the class of an object as QuPath shows it, such as "Mitosis: Atypical". */
String className(object) {
    return object.getPathClass() == null ? 'Unclassified' : object.getPathClass().toString()
}

/** Return the parts of a class that is derived from another: "Mitosis: Atypical" has two. */
List<String> classParts(String name) {
    return name.split(':').collect { it.trim() }.findAll { !it.isEmpty() }
}

/** Return whether a class is `wanted` or derived from it. */
boolean isOfClass(String name, String wanted) {
    def parts = classParts(name)
    def first = classParts(wanted)
    return parts.size() >= first.size() && parts.take(first.size()) == first
}
// <<< classes

// >>> calls
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
// <<< calls

// >>> summary
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
// <<< summary

// >>> results
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
// <<< results

// >>> updates
/**
 * Return what a result changes in the image, without changing anything; docs/qupath.md states the rules.
 *
 * `collection`: the JSON of objects.geojson. `threshold`: of the run that the image's objects are from, or null.
 * `fromQuPath`: whether the candidates were exported from this image, so that those which are not there were deleted.
 * `whole`: false after a selection, whose hot spot and regions are not those of the slide.
 */
Map plannedUpdates(Map collection, Double threshold, boolean fromQuPath, boolean whole) {
    def features = collection.features.collect { readFeature(it) }
    def figures = features.findAll { !it.spot && !it.region }
    def regions = whole ? features.findAll { it.region } : []
    def there = objectsById(features.collectMany { [it.id, it.source, it.pointsId] })
    def known = figures.findAll { keyOf(it, there) != null }
    def pairs = known.groupBy { keyOf(it, there) }.collectMany { key, group -> pairsOf(there[key], group) }
    def points = plannedPoints(figures, there)
    def lost = figures.findAll { keyOf(it, there) == null && !points.ids.contains(it.pointsId) }
    def none = known.isEmpty() && points.ids.isEmpty()
    if (none && fromQuPath && !lost.isEmpty())
        refuse("none of the ${figures.size()} objects of these results is in this image; was an older state of it " +
            'put back, or its data file replaced? Classify it again')
    def found = none ? (lost + regions.findAll { !there.containsKey(it.id) }).findAll { !it.core } : []
    def rated = regions.collectMany { now -> there.getOrDefault(now.id, []).collect { [it, now] } }
    return [
        updates: pairs.collect { old, now -> figureUpdate(old, now, threshold) } +
            rated.collect { old, now -> regionUpdate(old, now) } + forgottenRegions(whole, regions*.id),
        added: found.collect { [now: it] } + points.added.collect { it + figureUpdate(it.of, it.now, threshold) } +
            (whole ? features.findAll { it.spot }.collect { [now: it] } : []),
        removed: points.removed + (whole ? allObjects().findAll { isHotSpot(it) } : []),
        told: [
            updated: pairs.size() + rated.size(), added: found.size() + points.added.size(), left: points.left,
            split: points.removed.size(), gone: none ? 0 : lost.size(),
        ],
    ]
}

/** Return what matters of a Feature of objects.geojson. */
Map readFeature(Map feature) {
    // Not feature.properties, which Groovy 6 takes for the properties of the map itself.
    def told = feature.get('properties') ?: [:]
    def metadata = told.metadata ?: [:]
    def measurements = told.measurements ?: [:]
    def classed = told.classification ?: [:]
    def names = (classed.names ?: [classed.name]).findAll { it != null }.collectMany { classParts(it) }
    def source = metadata['slidemitosis.source_id']?.toLowerCase(Locale.ROOT)
    def point = source == null ? null : (source =~ /^([0-9a-f-]{36})#(\d+)$/)
    def ofPoints = point != null && point.matches()
    return [
        json: feature, id: feature.id?.toString()?.toLowerCase(Locale.ROOT), names: names,
        name: names.isEmpty() ? 'Unclassified' : names.join(': '),
        color: classed.color, measurements: measurements, metadata: metadata,
        source: ofPoints ? null : source, pointsId: ofPoints ? point.group(1) : null,
        number: ofPoints ? point.group(2) as int : 0, core: told.objectType == 'tma_core',
        spot: names == ['Hot spot'] && measurements.containsKey('Spot mm2'),
        region: measurements.containsKey('Region mm2'),
    ]
}

/** Return the image's objects that have one of these ids, by id. No others are kept: an image may have millions. */
Map<String, List> objectsById(Collection<String> ids) {
    def wanted = new HashSet(ids)
    return allObjects().findAll { wanted.contains(it.getID().toString()) && (canBeCandidate(it) || it.isTMACore()) }
        .groupBy { it.getID().toString() }
}

/** Return the id by which an object of a result is in the image, or null. The second of two objects with one id has
    come back with another, and names its own as its source. */
String keyOf(Map feature, Map there) {
    return [feature.id, feature.source].find { it != null && there.containsKey(it) }
}

/** Return which object of the image takes which of a result; all have one id. */
List<List> pairsOf(List objects, List features) {
    if (objects.size() == 1 && features.size() == 1)
        return [[objects[0], features[0]]]
    def left = new ArrayList(features)
    return objects.collect { object ->
        def nearest = (left ?: features).min { distance(object.getROI(), it.json.geometry) }
        left.removeAll { it.is(nearest) }
        [object, nearest]
    }
}

/** Return how far the centres of the boxes around two outlines are from each other, in px. */
double distance(roi, Map geometry) {
    def places = placesOf(geometry.coordinates)
    double x = (places*.get(0).max() + places*.get(0).min()) / 2
    double y = (places*.get(1).max() + places*.get(1).min()) / 2
    return Math.hypot(roi.getBoundsX() + roi.getBoundsWidth() / 2 - x, roi.getBoundsY() + roi.getBoundsHeight() / 2 - y)
}

/** Return the places, [x, y] each, in the coordinates of a geometry, however deep. */
List<List> placesOf(List coordinates) {
    return coordinates[0] instanceof Number ? [coordinates] : coordinates.collectMany { placesOf(it) }
}

/** Return what becomes of points objects: those to remove, the points to add for them, and how many stay. */
Map plannedPoints(List figures, Map there) {
    def byPoints = figures.findAll { there.containsKey(it.pointsId) }.groupBy { it.pointsId }
    def plan = [ids: byPoints.keySet(), added: [], removed: [], left: 0]
    byPoints.each { id, group ->
        if (there[id].every { hasPoints(it, group) }) {
            plan.added.addAll(group.findAll { keyOf(it, there) == null }.collect { [now: it, of: there[id][0]] })
            plan.removed.addAll(there[id])
        } else {
            plan.left++
        }
    }
    return plan
}

/** Return whether a points object has the points that it was exported with, which are these objects of a result. */
boolean hasPoints(object, List features) {
    def roi = object.getROI()
    if (!roi.isPoint() || roi.getNumPoints() != features.size())
        return false
    def points = roi.getAllPoints()
    return features.every { feature ->
        def at = feature.json.geometry.coordinates
        def point = feature.number > points.size() ? null : points[feature.number - 1]
        // GeoJSON has two decimals.
        point != null && Math.abs(point.getX() - at[0]) < 0.0101 && Math.abs(point.getY() - at[1]) < 0.0101
    }
}

/** Return what a result changes of a figure; `classes` is null where its class stays. */
Map figureUpdate(old, Map now, Double threshold) {
    def byHand = KEEP_CORRECTIONS && isClassByHand(old, now.name, now.measurements.containsKey('Reviewed'), threshold)
    def told = measured(old, now) { isOurMeasurement(it) || it == 'Reviewed' }
    // What a person said of the object is not in results that were made before.
    if (KEEP_CORRECTIONS)
        told.drop.remove('Reviewed')
    return told + [
        classes: byHand ? null : now.names, color: now.color, kept: byHand && className(old) != now.name,
        metadata: now.metadata.findAll { key, value -> key.startsWith('slidemitosis.') },
    ]
}

Map regionUpdate(old, Map now) {
    return measured(old, now) { isOfRegionRate(it) }
}

/** Return what takes the rates of an earlier run from the regions whose id is not among these. */
List<Map> forgottenRegions(boolean whole, List ids) {
    def earlier = whole ? allObjects().findAll { hasRegionRate(it) && !(it.getID().toString() in ids) } : []
    return earlier.collect { regionUpdate(it, [measurements: [:]]) }
}

/** Return an object and its measurements that are set, and those that are taken away; only `ours` are. */
Map measured(old, Map now, Closure ours) {
    def put = now.measurements.findAll { name, value -> ours(name) }
        .collectEntries { name, value -> [name, value as double] }
    def drop = old.getMeasurements().keySet().findAll { ours(it) && !put.containsKey(it) }
    return [old: old, put: put, drop: new ArrayList(drop)]
}

boolean isOurMeasurement(String name) {
    return name in ['P(atypical)', 'Call threshold', 'P(experts disagree)', 'Upsampled'] || name.startsWith('P(AMF ') ||
        name.startsWith('P(NMF ')
}

/** Return whether a run has given this object, an annotation or a core of a microarray, a rate of its own. */
boolean hasRegionRate(object) {
    return !Double.isNaN(object.getMeasurementList().get('Region mm2'))
}

/** Return whether a measurement, of an object that is a region, is part of its rate. */
boolean isOfRegionRate(String name) {
    return name in ['Mitoses', 'Atypical', 'Normal', 'Uncertain', 'Mitoses per mm2', 'Region mm2'] ||
        name.startsWith('Expected atypical fraction')
}

/** Return new objects of QuPath for those that a plan adds, in its order. They are in no image yet. */
List createdObjects(List<Map> added) {
    if (added.isEmpty())
        return []
    def features = added.collect { readableFeature(it.now.json) }
    def file = File.createTempFile('slidemitosis', '.geojson')
    try {
        writeJson(file, [type: 'FeatureCollection', features: features])
        def byId = new ArrayList(PathIO.readObjects(file)).groupBy { it.getID().toString() }
        return added.collect { part ->
            def object = byId[part.now.id][0]
            if (part.of != null)
                takeAfter(part.of, object, part)
            object
        }
    } finally {
        file.delete()
    }
}

/** Return a Feature as this QuPath reads it without a word: at metadata of a detection 0.5 logs a stack trace. */
Map readableFeature(Map feature) {
    def told = feature.get('properties')
    if (!isVersion('0.5') || told == null || told.objectType == 'annotation')
        return feature
    return feature + [properties: told.findAll { key, value -> key != 'metadata' }]
}

/** Give one point what its points object has by now, but for what is ours. */
void takeAfter(old, object, Map part) {
    setClass(object, part.classes == null ? old.getPathClass() : classOf(part.classes, part.color), old.getColor())
    object.setName(old.getName())
    object.setLocked(old.isLocked())
    def kept = old.getMeasurements().findAll { name, value -> !part.put.containsKey(name) && !(name in part.drop) }
    def list = object.getMeasurementList()
    new ArrayList(object.getMeasurements().keySet()).findAll { !part.put.containsKey(it) }.each { list.remove(it) }
    list.putAll(kept.collectEntries { name, value -> [name, value as double] })
    list.close()
    def theirs = metadataOf(old).findAll { key, value -> !key.startsWith('slidemitosis.') }
    editMetadata(object) { map ->
        new ArrayList(map.keySet()).findAll { !it.startsWith('slidemitosis.') }.each { map.remove(it) }
        map.putAll(theirs)
    }
}

/** Return a class of QuPath. Its colour is that which it has in QuPath, or else the one of the results. */
PathClass classOf(List<String> names, List color) {
    def rgb = color == null || color.size() < 3 ? null :
        (0xff << 24) | ((color[0] as int) << 16) | ((color[1] as int) << 8) | (color[2] as int)
    return names.isEmpty() ? null : PathClass.fromCollection(names, rgb)
}

/** Set a class, and the object's own colour, which QuPath takes away with every class that it sets. */
void setClass(object, PathClass wanted, Integer color) {
    if (object.getPathClass() != wanted)
        object.setPathClass(wanted)
    if (object.getColor() != color)
        object.setColor(color)
}

/** Change an object's metadata, where this QuPath allows it: in 0.5 that of a detection cannot be changed. */
void editMetadata(object, Closure edit) {
    try {
        edit(metadataOf(object))
    } catch (UnsupportedOperationException ignored) {
        // The class and the measurements say the same.
    }
}

/**
 * Do what was planned. `undo` gets what takes each step back, the last one last. No file is read or written. QuPath is
 * told once, at the end, and so makes one step of it that Undo takes back.
 */
void applyUpdates(Map plan, List created, List undo) {
    def hierarchy = getCurrentHierarchy()
    undo << { -> fireHierarchyUpdate() }
    plan.updates.each { part ->
        undo << restorer(part.old)
        updateObject(part)
    }
    if (!plan.removed.isEmpty())
        hierarchy.getSelectionModel().clearSelection()
    undo << { -> created.each { hierarchy.removeObjectWithoutUpdate(it, true) } }
    [plan.added, created].transpose().each { part, object ->
        hierarchy.addObjectBelowParent(part.of?.getParent() ?: hierarchy.getRootObject(), object, false)
    }
    plan.removed.each { object ->
        def parent = object.getParent()
        undo << { -> hierarchy.addObjectBelowParent(parent, object, false) }
        hierarchy.removeObjectWithoutUpdate(object, true)
    }
    fireHierarchyUpdate()
}

void updateObject(Map part) {
    def old = part.old
    if (part.classes != null)
        setClass(old, classOf(part.classes, part.color), old.getColor())
    def list = old.getMeasurementList()
    part.drop.each { list.remove(it) }
    list.putAll(part.put)
    list.close()
    if (part.metadata != null)
        editMetadata(old) { map ->
            new ArrayList(map.keySet()).findAll { it.startsWith('slidemitosis.') && !part.metadata.containsKey(it) }
                .each { map.remove(it) }
            map.putAll(part.metadata)
        }
}

/** Return what gives an object back its class, colour, measurements and metadata of now. */
Closure restorer(object) {
    def name = object.getPathClass()
    def color = object.getColor()
    def values = new LinkedHashMap(object.getMeasurements())
    def keys = new LinkedHashMap(metadataOf(object))
    return { ->
        setClass(object, name, color)
        def list = object.getMeasurementList()
        new ArrayList(object.getMeasurements().keySet()).findAll { !values.containsKey(it) }.each { list.remove(it) }
        list.putAll(values)
        list.close()
        editMetadata(object) { map ->
            if (map != keys) {
                map.clear()
                map.putAll(keys)
            }
        }
    }
}

/** Return what was done to the objects; a part that is none is left out. */
String updateText(Map told, int kept) {
    def parts = [
        [told.added, 'object', 'added'],
        [told.split, 'points object', 'replaced by one object for each point'],
        [kept, 'class', 'set by hand kept'],
        [told.gone, 'object', 'of the results not in the image any more, and so not added'],
        [told.left, 'points object', 'with other points by now left alone'],
    ]
    def further = parts.findAll { it[0] > 0 }.collect { "${plural(it[0], it[1])} ${it[2]}" }
    return (["${plural(told.updated, 'object')} updated"] + further).join(', ')
}
// <<< updates

// >>> saved
/** Copy the file of an image's objects, as it was before the first run, to data.qpdata.before-slidemitosis. */
void keepDataFile(Map place) {
    if (place.entry == null || place.entry.getEntryPath() == null)
        return
    def file = place.entry.getEntryPath().resolve('data.qpdata')
    def copy = file.resolveSibling('data.qpdata.before-slidemitosis')
    if (Files.isRegularFile(file) && !Files.exists(copy))
        copyWhole(file.toFile(), copy.toFile())
}

/** Throw if QuPath could not read the image's objects: it then shows none, and would save none over them. */
void refuseUnreadable(Map place) {
    if (place.entry == null || !place.entry.hasImageData() || !allObjects().isEmpty())
        return
    def file = place.entry.getEntryPath().resolve('data.qpdata')
    try {
        // QuPath waits for ever for the end of a file that was cut off; a pipe that ends nowhere is an error.
        Files.newInputStream(file).withCloseable { stream ->
            PathIO.readHierarchy(new SequenceInputStream(stream, new PipedInputStream()))
        }
    } catch (IOException | RuntimeException e) {
        keepDataFile(place)
        def reason = e.getMessage() == 'Pipe not connected' ? 'it was cut off' : e.getClass().getSimpleName()
        refuse("the objects of this image cannot be read from ${file} (${reason}); do not save the image, and put a " +
            'copy of that file in its place')
    }
}

/** Throw if a program runs this script on an image that QuPath will not save. */
void refuseUnsaved(Map place) {
    if (!place.alone && !place.saves)
        refuse('QuPath would not save what is found: add -s to the command (QuPath script -s -p ...), or choose ' +
            '"Run for project", not "Run for project (without saving)"; nothing was stored')
}

/** What follows the id of a run in the metadata of an image whose objects are not saved, or are of another run. */
@Field String NOT_SAVED = ', objects not saved'

/** Return the id of a run: the beginning of the SHA-256 of its summary.json. */
String runId(String summary) {
    def digest = MessageDigest.getInstance('SHA-256').digest(summary.getBytes('UTF-8'))
    return digest.encodeHex().toString().take(12)
}

/** Say in the image's metadata whether the objects that are in it are of the run that the metadata are of. */
void settleRun(Map place) {
    def stated = place.folder == null ? null : place.entry.getMetadataMap()['AMF run']
    if (stated == null)
        return
    def id = stated.replace(NOT_SAVED, '')
    def data = getCurrentImageData()
    def now = data.getProperty('slidemitosis.run') == id ? (data.isChanged() ? stated : id) : id + NOT_SAVED
    if (now != stated) {
        place.entry.putMetadataValue('AMF run', now)
        place.project.syncChanges()
    }
    if (data.getProperty('slidemitosis.run') != id)
        say("the image's metadata are of run ${id}, and its objects are not: that run was not saved")
}

/** Take "objects not saved" from the metadata once the image is saved; stop where it is closed without. */
void watchSaving(Map place, String id) {
    def data = getCurrentImageData()
    def gui = getQuPath()
    def settled = { ->
        if (gui.getProject().is(place.project) && place.entry.getMetadataMap()['AMF run'] == id + NOT_SAVED) {
            place.entry.putMetadataValue('AMF run', id)
            place.project.syncChanges()
        }
    }
    def thread = new Thread({
        while (data.isChanged() && isShown(gui, data))
            Thread.sleep(200)
        if (!data.isChanged() && data.getProperty('slidemitosis.run') == id)
            Platform.runLater(settled as Runnable)
    } as Runnable, 'slidemitosis saved')
    thread.setDaemon(true)
    thread.start()
}

boolean isShown(gui, data) {
    def viewers = gui.metaClass.respondsTo(gui, 'getAllViewers') ? gui.getAllViewers() : gui.getViewers()
    return new ArrayList(viewers).any { it.getImageData().is(data) }
}
// <<< saved

// >>> image
/** Return where a script runs: the image, its entry and folder in a project, if any, and whether it runs alone. */
Map whereWeAre() {
    def project = getProject()
    def entry = getProjectEntry()
    def data = getCurrentImageData()
    def base = project == null || entry == null ? null : Projects.getBaseDirectory(project)
    return [
        project: project,
        entry: entry,
        id: entry == null ? '' : entry.getID().toString(),
        name: entry != null ? entry.getImageName() : data != null ? data.getServer().getMetadata().getName() : '',
        folder: base == null ? null : new File(base, 'slidemitosis'),
        alone: runsAlone(),
        saves: attribute(ScriptAttributes.BATCH_SAVE) == true,
        index: attribute(ScriptAttributes.BATCH_INDEX) ?: 0,
        size: attribute(ScriptAttributes.BATCH_SIZE) ?: 1,
    ]
}

/** Return what QuPath tells a script, or null. */
Object attribute(String name) {
    return binding.hasVariable(name) ? binding.getVariable(name) : null
}

/** Return whether a person runs this script on the image that is open, rather than a program on many. */
boolean runsAlone() {
    def gui = getQuPath()
    if (gui == null || !gui.getImageData().is(getCurrentImageData()))
        return false
    return (attribute(ScriptAttributes.BATCH_SIZE) ?: 1) <= 1
}

/** Return what slidemitosis must know of the image. Throws with the reason where it cannot read what QuPath shows. */
Map checkedImage(Map place) {
    if (getCurrentImageData() == null)
        refuse('no image is open; open one, or use "Run for project"')
    // Asked of the project first: the image itself cannot be asked if it cannot be opened.
    def missing = place.entry == null ? null : missingFile(place.entry)
    if (missing != null)
        refuse(noSuchFile(missing))
    def server = openedServer(place)
    def reason = movedReason(builderTypes(server.getBuilder()))
    if (reason != null)
        refuse(reason)
    def uris = new ArrayList(server.getURIs())
    def path = uris.size() == 1 ? GeneralTools.toPath(uris[0]) : null
    if (path == null)
        refuse("this image is not one file on this computer (${uris.join(', ') ?: 'no address'}); copy it here first")
    if (!Files.isRegularFile(path))
        refuse(noSuchFile(path.toFile()))
    def size = server.getPixelCalibration()
    return [
        slide: path.toFile(),
        width: server.getWidth(),
        height: server.getHeight(),
        server: server.getServerType(),
        mppX: size.getPixelWidthMicrons() as double,
        mppY: size.getPixelHeightMicrons() as double,
    ]
}

/** Return what reads the image's pixels. From 0.6 QuPath opens the file only now, and says nothing of why it cannot. */
Object openedServer(Map place) {
    try {
        return getCurrentServer()
    } catch (RuntimeException e) {
        if (place.entry == null)
            throw e
        refuse(cannotOpen(place.entry))
    }
}

/** Return the file of an image; null where it is not one file of this computer. */
File fileOf(entry) {
    def uris = new ArrayList(entry.getURIs())
    return uris.size() == 1 ? GeneralTools.toPath(uris[0])?.toFile() : null
}

/** Return the file of an image that is not there; null where it is there, or is not one file of this computer. */
File missingFile(entry) {
    def file = fileOf(entry)
    return file == null || file.exists() ? null : file
}

String cannotOpen(entry) {
    return "${fileOf(entry) ?: entry.getImageName()}: QuPath cannot open it: it is damaged or cut off, or of a " +
        'format that this QuPath does not read; copy it here again'
}

String noSuchFile(File file) {
    return "${file}: no such file; tell the project where it is now (open the image, and QuPath asks)".toString()
}

/** Return what an image is built of, from the outside in: "uri" is a file, "cropped" a part of what follows it. */
List<String> builderTypes(builder) {
    if (builder == null)
        return []
    def kind = builder.getClass().getSimpleName()
    if (kind == 'DefaultImageServerBuilder')
        return [fileType((builder.getArgs() ?: []) as List)]
    def types = []
    def json = null
    try {
        json = GsonTools.getInstance().toJsonTree(builder, ImageServerBuilder.ServerBuilder)
    } catch (IllegalArgumentException | JsonParseException ignored) {
        // Not one of QuPath's own kinds, or one with numbers that JSON cannot hold.
        return [kind]
    }
    while (json != null && json.isJsonObject() && json.getAsJsonObject().has('builderType')) {
        def part = json.getAsJsonObject()
        def type = part.get('builderType').getAsString()
        def args = type == 'uri' ? part.get('args') : null
        types << (args != null && args.isJsonArray() ? fileType(args.collect { it.getAsString() }) : type)
        json = part.get('builder')
    }
    return types
}

/** Return "uri", or which image of its file Bio-Formats is told to show, where that is not the first. */
String fileType(List<String> args) {
    def words = args.collectMany { it.split('=', 2) as List }
    def at = words.findIndexOf { it in ['--series', '-s', '--name', '-n'] }
    def which = at < 0 ? '0' : words[at + 1]
    return which in ['0', '-1'] ? 'uri' : "as series ${which} of its file".toString()
}

/** Return why the coordinates of an image that is built of these are not its file's, or null. */
String movedReason(List<String> types) {
    if (types.isEmpty())
        return 'QuPath does not say which file this image is from; add the file itself to the project'
    // These add levels or change colours, and move nothing.
    def moved = types.find { !(it in ['uri', 'pyramidize', 'color', 'swapRedBlue', 'color_deconvolved']) }
    if (moved == null && types.last() == 'uri')
        return null
    def words = [affine: 'flipped, turned or warped', channels: 'concatenated', sparse: 'put together from parts']
    def word = words.getOrDefault(moved, moved ?: 'made of something else')
    return "QuPath shows this image ${word}, so that its coordinates are not the file's; add the file itself to the " +
        'project'
}

/** Return whether this QuPath is of a version such as "0.5". */
boolean isVersion(String wanted) {
    return String.valueOf(GeneralTools.getVersion()).startsWith(wanted + '.')
}
// <<< image

// >>> report
/** Do the work, which returns what was done (null: nothing) or throws; say that, show it and keep it in status.csv. */
void reported(Closure<String> work) {
    def place = whereWeAre()
    try {
        def done = work.call(place)
        if (done == null)
            return
        writeStatus(place, 'done', done)
        say(done)
        if (place.result != null)
            showResult(place, place.result.folder, place.result.lines)
        else if (place.alone)
            show { it.showInfoNotification('slidemitosis', inLines(done)) }
        endImage(place, 'done', done)
    } catch (InterruptedException e) {
        writeStatus(place, 'failed', 'cancelled')
        say('cancelled; nothing was changed')
        // The person who has cancelled knows why the script ends; a batch must end too.
        if (!place.alone)
            throw e
        show { it.showInfoNotification('slidemitosis', 'cancelled; nothing was changed') }
    } catch (Throwable e) {
        // The one place that catches broadly: QuPath goes on to the next image and forgets why this one failed.
        def known = e instanceof IllegalStateException || e instanceof IOException
        def reason = reasonOf(e)
        writeStatus(place, 'failed', reason)
        say("failed: ${reason}")
        if (place.alone)
            show { it.showErrorMessage('slidemitosis', reason) }
        endImage(place, 'failed', reason)
        if (!place.alone || !known)
            throw known && reason != e.getMessage() ? new IllegalStateException(reason) : e
    }
}

/** Throw a reason, in one line. It never has a cause: QuPath would show the message of the cause instead. */
void refuse(CharSequence reason) {
    throw new IllegalStateException(reason.toString())
}

/** What a person does in QuPath where a message of the command names an option: patterns, and what stands there. */
@Field Map<String, String> IN_QUPATH = [
    '[;,] (?:pass|or) --(?:mpp|allow-upsampling).*':
        '; double-click Pixel width in the Image tab, and Pixel height below it, and give them in um',
    '[;,] (?:pass|leave) --(?:viewer-size|origin).*': '; add the file itself to the project, as it is',
    '[;,] (?:pass|name the class of the figures with) --(?:candidate-class|regions).*':
        '; choose the class in the dialog',
    '(?s)[:;,(]? ?(?:tifffile\\.)?TiffFileError.*': ': it is damaged, or of a format that slidemitosis does not read',
    '--mpp says': 'QuPath says',
    '[;,] (?:if .*, )?(?:pass|choose another|leave) --.*': '',
]

/** Return a message of the command in the words of QuPath, where nobody can give an option. */
String inQuPathsWords(String said) {
    return IN_QUPATH.inject(said) { text, pattern, words -> text.replaceFirst(pattern, words) }
}

/** Return a text in lines: QuPath's notifications are as wide as their longest line, be that wider than the screen. */
String inLines(String text) {
    return text.split(' ').inject('') { said, word ->
        int length = said.length() - said.lastIndexOf('\n') + word.length()
        said + (said.isEmpty() ? '' : length < 90 ? ' ' : '\n') + word
    }
}

/** Return a number with its noun: "1 mitosis", "2 mitoses", "3 classes". */
String plural(Number count, String noun) {
    def many = noun.endsWith('is') ? noun.replaceFirst(/is$/, 'es') : noun + (noun.endsWith('s') ? 'es' : 's')
    return "${count as long} ${count == 1 ? noun : many}".toString()
}

void say(CharSequence text) {
    println "slidemitosis: ${text}"
}

/**
 * Return what `action` returns of QuPath's dialogs. Their package has moved, so QuPath's default imports must name it;
 * without these the log is enough, and null is returned.
 */
Object show(Closure action) {
    try {
        return action.call(Dialogs)
    } catch (MissingPropertyException ignored) {
        say('(turn on "Include default imports" in the script editor to see this as a dialog)')
        return null
    }
}

void writeStatus(Map place, String outcome, String reason) {
    if (place.folder != null)
        writeStatusOf(place.folder, place.id, place.name, outcome, reason)
}

void writeStatusOf(File folder, String id, String name, String outcome, String reason) {
    def row = [
        script: SCRIPT, entry_id: id, image: name, outcome: outcome, what: reason,
        time: java.time.LocalDateTime.now().withNano(0).toString(),
    ]
    try {
        replaceRows(new File(folder, 'status.csv'), ['script', 'entry_id', 'image', 'outcome', 'what', 'time'],
            [script: SCRIPT, entry_id: id], 'entry_id', [row])
    } catch (IOException | IllegalStateException e) {
        say("status.csv could not be written: ${reasonOf(e)}")
    }
}
// <<< report

// >>> batch
/** Note what became of an image of a batch; after the last one say it of all. */
void endImage(Map place, String outcome, String reason) {
    if (place.folder == null || place.alone)
        return
    def rows = batchRows(place) + [[id: place.id, name: place.name, outcome: outcome, what: reason]]
    // Between the images of a batch a script knows only what it has left in QuPath itself.
    System.setProperty(batchName(), new Gson().toJson([at: place.index, size: place.size, rows: rows]))
    if (isLastOfBatch(place))
        endBatch(place, rows)
}

String batchName() {
    return "slidemitosis.batch.${SCRIPT}".toString()
}

/** Return what became of the images of this batch so far. */
List<Map> batchRows(Map place) {
    def kept = System.getProperty(batchName())
    def former = kept == null ? null : new Gson().fromJson(kept, Map)
    // A script of QuPath's Workflow may hold several runs for each image; the last one counts.
    def goesOn = former != null && former.size == place.size && former.at <= place.index && place.index > 0
    return goesOn ? former.rows.findAll { it.id != place.id } : []
}

/** Return whether no image follows that QuPath can open. For one whose file is missing it may start no script. */
boolean isLastOfBatch(Map place) {
    def entries = new ArrayList(place.project.getImageList())
    if (place.index + 1 >= place.size)
        return true
    return place.size == entries.size() && entries.drop(place.index + 1).every { missingFile(it) != null }
}

/** Say what became of all images of a batch, those that were never begun too. */
void endBatch(Map place, List<Map> rows) {
    def missed = missedImages(place, rows)
    def failed = rows.findAll { it.outcome == 'failed' } + missed
    def done = rows.count { it.outcome == 'done' }
    def reasons = failed.groupBy { it.what }.collect { what, images -> "${images*.name.join(', ')} (${what})" }
    // Which images were ticked, QuPath tells no script.
    int others = Math.max(place.size - rows.size() - missed.size(), 0)
    if (others > 0)
        reasons << "${plural(others, 'image')} that QuPath could not open; see View > Show log".toString()
    int failures = failed.size() + others
    def counted = "${done} done, ${failures} failed${failures == 0 ? '' : ': '}".toString()
    def told = counted + reasons.join('; ')
    if (failures == 0)
        say(told)
    else
        LoggerFactory.getLogger('slidemitosis').error("${SCRIPT}: ${told}".toString())
    if (getQuPath() == null)
        exitWithError(failures > 0)
    else if (failures == 0)
        show { it.showInfoNotification('slidemitosis', told) }
    else
        show { it.showErrorNotification('slidemitosis', inLines(counted + shortened(reasons).join('; '))) }
}

/** Return as many reasons as a notification can hold. */
List<String> shortened(List<String> reasons) {
    return reasons.size() <= 5 ? reasons : reasons.take(4) + 'more: see View > Show log, or slidemitosis/status.csv'
}

/**
 * Write a row for each image for which QuPath has started no script, so that no "done" of an earlier run stands, and
 * return them: 0.6 starts none where the file is missing, 0.5 none where it cannot be opened either.
 */
List<Map> missedImages(Map place, List<Map> rows) {
    def begun = rows*.id as Set
    def whole = place.size == place.project.getImageList().size()
    def before = readTable(new File(place.folder, 'status.csv'), ['script', 'entry_id']).rows
        .findAll { it.script == SCRIPT }*.entry_id as Set
    def missed = new ArrayList(place.project.getImageList()).findAll { !begun.contains(it.getID().toString()) }
        .findAll { whole || before.contains(it.getID().toString()) && missingFile(it) != null }
    return missed.collect { entry ->
        def file = missingFile(entry)
        def reason = file == null ? cannotOpen(entry) : noSuchFile(file)
        writeStatusOf(place.folder, entry.getID().toString(), entry.getImageName(), 'failed', reason)
        [name: entry.getImageName(), what: reason]
    }
}

/** Without windows let QuPath, which ends with 0 whatever has failed, end with 1 if something has. */
void exitWithError(boolean failed) {
    if (!failed)
        return
    Runtime.getRuntime().addShutdownHook(new Thread({
        // What else QuPath does at its end is done meanwhile.
        Thread.sleep(2000)
        Runtime.getRuntime().halt(1)
    } as Runnable))
}
// <<< batch

// >>> files
Map readJson(File file) {
    if (!file.isFile())
        refuse("${file}: no such file")
    try {
        // Whole numbers stay whole: QuPath wants them so where they are written again.
        def gson = new GsonBuilder().setObjectToNumberStrategy(ToNumberPolicy.LONG_OR_DOUBLE).create()
        def found = file.withReader('UTF-8') { gson.fromJson(it, Map) }
        if (found == null)
            refuse("${file}: is empty")
        return found
    } catch (JsonParseException ignored) {
        refuse("${file}: is not JSON, or cut off; write it again")
    }
}

void writeJson(File file, Map document) {
    // QuPath refuses a class without the key "color", be it null.
    file.setText(new GsonBuilder().serializeNulls().create().toJson(document), 'UTF-8')
}

/** Return an id as a file's name: an underscore stands for all but letters, digits and dashes. */
String fileName(String id) {
    return id.replaceAll(/[^A-Za-z0-9_-]/, '_')
}

void makeFolder(File folder) {
    Files.createDirectories(folder.toPath())
}

/** Return why something failed, in one line: what, where, and the remedy. Java itself often names a path alone. */
String reasonOf(Throwable e) {
    if (!(e instanceof IOException))
        return e instanceof IllegalStateException && e.getMessage() ? e.getMessage() : e.toString()
    def told = e instanceof FileSystemException ? "${e.getFile()}${e.getReason() ? ': ' + e.getReason() : ''}" :
        e.getMessage() ?: e.toString()
    if (told =~ /(?i)no space|not enough space|disk quota|disk is full/)
        return "${told}: the disk is full; make room there and run the script again"
    if (e instanceof AccessDeniedException || told =~ /(?i)denied|read-only|operation not permitted/)
        return "${told}: cannot be written; allow writing in that folder, or copy the project to where you may write"
    if (e instanceof FileAlreadyExistsException || told =~ /(?i)not a directory/)
        return "${told}: a file stands where a folder must be; rename it"
    return "${told}: cannot be read or written; look whether the folder is there and the disk can be reached"
}

/** Write a file whole or not at all. */
void writeWhole(File file, String text) {
    makeFolder(file.getParentFile())
    def partial = new File(file.getParentFile(), ".${file.getName()}.partial")
    try {
        partial.setBytes(text.getBytes('UTF-8'))
        moveWhole(partial, file)
    } finally {
        Files.deleteIfExists(partial.toPath())
    }
}

/** Copy a file whole or not at all. */
void copyWhole(File from, File to) {
    def partial = new File(to.getParentFile(), ".${to.getName()}.partial")
    try {
        Files.copy(from.toPath(), partial.toPath(), StandardCopyOption.REPLACE_EXISTING)
        moveWhole(partial, to)
    } finally {
        Files.deleteIfExists(partial.toPath())
    }
}

void moveWhole(File from, File to) {
    try {
        Files.move(from.toPath(), to.toPath(), StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE)
    } catch (IOException e) {
        refuse("${to} cannot be written (${e.getClass().getSimpleName()}); is it open in another program?")
    }
}

/**
 * Put `rows` in the place of those rows of a table that have the values of `group`, and write the table whole.
 *
 * Columns that a user has added, and cells that are null in a row, keep what they hold in the row with the same `id`.
 */
void replaceRows(File file, List<String> columns, Map group, String id, List<Map> rows) {
    def table = readTable(file, columns)
    def isOld = { row -> group.every { column, value -> row[column] == value.toString() } }
    def old = table.rows.findAll(isOld)
    def merged = rows.collect { row ->
        def before = old.find { it[id] == row[id].toString() } ?: [:]
        before + row.findAll { column, value -> value != null }
    }
    int at = table.rows.findIndexOf(isOld)
    def kept = table.rows.findAll { !isOld(it) }
    kept.addAll(at < 0 ? kept.size() : at, merged)
    def lines = [table.columns] + kept.collect { row -> table.columns.collect { row[it] } }
    writeWhole(file, lines.collect { cells -> cells.collect { csvCell(it) }.join(',') + '\n' }.join(''))
}

/** Return the columns and rows of a CSV, each row a map; `columns` and no rows where there is no file. */
Map readTable(File file, List<String> columns) {
    if (!file.isFile())
        return [columns: columns, rows: []]
    def lines = parseCsv(file.getText('UTF-8'))
    def lacking = lines.isEmpty() ? columns : columns.findAll { !(it in lines[0]) }
    if (!lacking.isEmpty())
        refuse("${file}: lacks the columns ${lacking.join(', ')}, which commas must part; move it away")
    def rows = lines.drop(1).collect { cells -> [lines[0], cells].transpose().collectEntries { it } }
    return [columns: lines[0], rows: rows]
}

/** Return the cells of each line of a CSV; quoted ones may hold commas, quotes and line breaks. */
List<List<String>> parseCsv(String text) {
    def lines = []
    def cells = []
    def cell = new StringBuilder()
    boolean quoted = false
    def endLine = {
        cells << cell.toString()
        cell.setLength(0)
        if (cells != [''])
            lines << cells
        cells = []
    }
    def chars = (text.startsWith('\uFEFF') ? text.substring(1) : text).toCharArray()
    for (int i = 0; i < chars.length; i++) {
        char c = chars[i]
        if (quoted) {
            if (c != ('"' as char))
                cell.append(c)
            else if (i + 1 < chars.length && chars[i + 1] == ('"' as char))
                cell.append(chars[i++])
            else
                quoted = false
        } else if (c == ('"' as char)) {
            quoted = true
        } else if (c == (',' as char)) {
            cells << cell.toString()
            cell.setLength(0)
        } else if (c == ('\n' as char)) {
            endLine()
        } else if (c != ('\r' as char)) {
            cell.append(c)
        }
    }
    if (cell.length() > 0 || !cells.isEmpty())
        endLine()
    return lines
}

String csvCell(Object value) {
    def text = value == null ? '' : value.toString()
    return text =~ /[",\r\n]|^\s|\s$/ ? '"' + text.replace('"', '""') + '"' : text
}
// <<< files
