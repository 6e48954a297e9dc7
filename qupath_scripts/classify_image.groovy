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

// Put together from slidemitosis/qupath/groovy: an action, and the parts between ">>>" and "<<<". Change
// only settings here; change anything else there, and run: python -m slidemitosis.qupath.assemble

import com.google.gson.Gson
import com.google.gson.JsonParseException
import com.google.gson.JsonSyntaxException
import groovy.transform.Field
import java.nio.file.Files
import java.nio.file.StandardCopyOption
import java.util.concurrent.LinkedBlockingQueue
import java.util.concurrent.TimeUnit
import java.util.stream.Collectors
import qupath.lib.common.GeneralTools
import qupath.lib.gui.prefs.PathPrefs
import qupath.lib.images.servers.ImageServerBuilder
import qupath.lib.io.GsonTools
import qupath.lib.io.PathIO
import qupath.lib.projects.Projects
import qupath.lib.scripting.ScriptAttributes

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

// >>> process
/** Seconds that a cancelled command has to tidy up after itself before it is killed. */
@Field long GRACE_SECONDS = 10

/**
 * Run a command that reports on standard error as "slidemitosis --progress json" does.
 *
 * Throws with the command's own one-line message if it fails. An interrupt ("Kill running script") ends the command and
 * every process that it has started.
 */
void runCommand(List<String> command) {
    def process = startCommand(command)
    def lines = new LinkedBlockingQueue<String>()
    try {
        process.getOutputStream().close()
        drain(process.getErrorStream(), lines)
        def said = followLines(process, lines)
        def code = process.waitFor()
        if (code != 0)
            refuse(failureText(said, code, command[0]))
    } finally {
        endFamily(process)
    }
}

/** Return why a command failed, from what it said last (null: nothing) and its exit code. */
String failureText(String said, int code, String program) {
    if (said == null)
        return "${program} ended with code ${code} and said nothing"
    return said.endsWith('No module named slidemitosis') ? "${said}; ${INSTALL}" : said
}

Process startCommand(List<String> command) {
    def builder = new ProcessBuilder(command)
    // QuPath, or the program that started it, may have set these for another Python.
    ['PYTHONHOME', 'PYTHONPATH'].each { builder.environment().remove(it) }
    builder.redirectOutput(ProcessBuilder.Redirect.DISCARD)
    try {
        return builder.start()
    } catch (IOException e) {
        refuse("${command[0]} cannot be started (${e.getMessage()}); ${INSTALL}")
    }
}

/** What `drain` puts into its queue after the last line. */
@Field String END = '\u0000end'

/** Put the lines of a stream into a queue, in a thread that does not keep QuPath from closing. */
void drain(InputStream stream, LinkedBlockingQueue<String> lines) {
    def reader = new BufferedReader(new InputStreamReader(stream, 'UTF-8'))
    def thread = new Thread({
        try {
            for (String line = reader.readLine(); line != null; line = reader.readLine())
                lines.put(line)
        } catch (IOException ignored) {
            // The process has been ended: there is no more to read.
        } finally {
            lines.put(END)
        }
    } as Runnable, 'slidemitosis output')
    thread.setDaemon(true)
    thread.start()
}

/** Say progress and messages until the output ends. Returns the error, or else the last other text, or null. */
String followLines(Process process, LinkedBlockingQueue<String> lines) {
    String error = null
    String last = null
    int tenths = -1
    while (true) {
        def line = lines.poll(500, TimeUnit.MILLISECONDS)
        // A process that outlives the command may hold the stream open; `endFamily` ends it.
        if (line == END || (line == null && !process.isAlive()))
            return error ?: last
        if (line == null)
            continue
        def event = parseEvent(line)
        if (event.event == 'progress') {
            int now = event.total > 0 ? (int) (10 * event.done / event.total) : 10
            if (now != tenths)
                say("${event.what ?: 'classifying'} ${(long) event.done} of ${(long) event.total}")
            tenths = now
        } else if (event.event == 'message') {
            // The reason of a failure is said once, at its end.
            if (event.level == 'error')
                error = event.text
            else
                say(event.level == 'info' ? event.text : "${event.level}: ${event.text}")
        } else if (event.event == 'text' && !line.trim().isEmpty()) {
            last = line.trim()
            say(last)
        }
    }
}

/** Return a line as a map with "event", which is "text" for a line that is not ours, such as one of a traceback. */
Map parseEvent(String line) {
    if (line.startsWith('{')) {
        try {
            def event = new Gson().fromJson(line, Map)
            if (event != null && event.event != null)
                return event
        } catch (JsonSyntaxException ignored) {
            // Not one of our events.
        }
    }
    return [event: 'text', text: line]
}

/** End a process and all processes that it has started, without waiting where it has ended already. */
void endFamily(Process process) {
    def family = process.descendants().collect(Collectors.toList())
    // First politely, so that it ends its own processes and removes its temporary files.
    if (process.isAlive())
        process.destroy()
    waitQuietly(process, GRACE_SECONDS)
    family.addAll(process.descendants().collect(Collectors.toList()))
    family.findAll { it.isAlive() }.each { it.destroyForcibly() }
    if (process.isAlive()) {
        process.destroyForcibly()
        waitQuietly(process, GRACE_SECONDS)
    }
}

/** Wait for a process to end. A second interrupt cuts the waiting short, never the killing that follows. */
void waitQuietly(Process process, long seconds) {
    try {
        process.waitFor(seconds, TimeUnit.SECONDS)
    } catch (InterruptedException ignored) {
        Thread.currentThread().interrupt()
    }
}
// <<< process

// >>> objects
/** Return the objects of a class and of the classes derived from it. */
List objectsOfClass(String wanted) {
    return allObjects().findAll {
        canBeCandidate(it) && isOfClass(className(it), wanted)
    }
}

/** Return how many objects each class has: "Mitosis (12), Unclassified (3)", or "none". */
String classCounts() {
    def counts = new TreeMap()
    allObjects().findAll { canBeCandidate(it) }.each {
        counts[className(it)] = (counts[className(it)] ?: 0) + 1
    }
    return counts.collect { name, count -> "${name} (${count})" }.join(', ') ?: 'none'
}
// <<< objects

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
// <<< calls

// >>> summary
File summaryFile(Map place) {
    return new File(place.folder, "summaries/${fileName(place.id)}.json")
}

Double thresholdOf(Map summary) {
    return summary == null ? null : summary.model.threshold as Double
}

/** Throw unless a summary is of this image, in the frame that QuPath shows it in. */
void refuseOtherImage(Map summary, Map image) {
    def reason = otherImage(summary, image.slide.getName(), image.slide.length(), image.width, image.height)
    if (reason != null)
        refuse(reason)
}

/** Return what to add to x and y of objects.geojson to get level-0 pixels of the whole slide. */
List objectsOffset(Map summary) {
    // Older summaries state one offset, for points and objects.
    return summary.reading.objects_offset_px ?: summary.reading.offset_px
}

/** Return why a summary is not of this image, or null. `width`, `height`: px of QuPath's full-resolution image. */
String otherImage(Map summary, String name, long bytes, int width, int height) {
    def slide = summary.slide
    if (!(slide instanceof Map) || summary.reading == null || summary.model == null)
        return 'their summary.json is not one of "slidemitosis classify"; take the whole folder that it wrote'
    if (slide.name != name || (long) slide.bytes != bytes)
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
 * `earlierThreshold`: of the run that the image's objects are from. `which`: which objects were classified.
 */
String takeResults(Map place, File folder, Map summary, Double earlierThreshold, String which) {
    def result = readResult(new File(folder, 'objects.geojson'))
    // The objects come last: "Run for project" saves them even if the script has failed.
    keepSummary(place, summary, new File(folder, 'summary.json'), which)
    def told = updateObjects(result, earlierThreshold, which != 'selected')
    return "${outcomeText(summary)}; ${told}".toString()
}

/** Give the image its metadata in the project, and keep the summary of the run that its objects are from. */
void keepSummary(Map place, Map summary, File file, String which) {
    if (place.folder == null)
        return
    def text = file.getText('UTF-8')
    imageMetadata(summary, which).each { key, value -> place.entry.putMetadataValue(key, value) }
    place.project.syncChanges()
    // Last, since its threshold must be that of the objects' calls: by it a later run tells what was set by hand.
    writeWhole(summaryFile(place), text)
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
    return texts.collectEntries { key, value -> [key, value.toString()] }
}

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

/** Return an objects.geojson's objects, and which of them are points of a points object. Throws if it is broken. */
Map readResult(File file) {
    // First as JSON, which says what is wrong with a broken file.
    def points = pointsByObject(readJson(file))
    def objects = new ArrayList(PathIO.readObjects(file))
    // The last moment to cancel: after it, objects are changed.
    if (Thread.interrupted())
        throw new InterruptedException()
    return [objects: objects, points: points]
}

/**
 * Bring what was read from an objects.geojson into the image, and return what was done. No file is read or written, so
 * that nothing is left half done.
 *
 * Objects whose id is there get class, measurements and metadata; the others are added. A points object is replaced if
 * each of its points has come back as an object of its own. A region keeps its class. Without `withHotSpot` the hot
 * spot and the rates of regions stay as they are: after a selection, new ones would be those of the selection alone.
 */
String updateObjects(Map result, Double earlierThreshold, boolean withHotSpot) {
    def hierarchy = getCurrentHierarchy()
    def read = result.objects.findAll { !isHotSpot(it) }
    def points = result.points
    def there = objectsById(read.collect { it.getID().toString() } + points.keySet())
    def known = read.findAll { there.containsKey(it.getID().toString()) }
    // The cores of a microarray are of its grid: one that the image has not got has no place there.
    def added = read.findAll { !there.containsKey(it.getID().toString()) && !it.isTMACore() }
    def changed = []
    int kept = 0
    known.each { now ->
        there[now.getID().toString()].each { old ->
            def byHand = KEEP_CORRECTIONS && setByHand(old, earlierThreshold)
            if (byHand && statedCall(className(old)) != statedCall(className(now)))
                kept++
            updateObject(old, now, byHand || hasRegionRate(now))
            changed << old
        }
    }
    addBelow(parentsOfPoints(points, there), added)
    def forgotten = withHotSpot ? forgetRegions(read.collect { it.getID().toString() } as Set) : []
    if (withHotSpot)
        replaceHotSpot(result.objects.findAll { isHotSpot(it) })
    def split = points.findAll { id, ids ->
        there.containsKey(id) && there[id].every { it.getROI().isPoint() && it.getROI().getNumPoints() == ids.size() }
    }
    if (!split.isEmpty()) {
        hierarchy.getSelectionModel().clearSelection()
        split.keySet().each { id -> there[id].each { hierarchy.removeObject(it, true) } }
    }
    hierarchy.fireObjectClassificationsChangedEvent(this, changed)
    hierarchy.fireObjectMeasurementsChangedEvent(this, changed + forgotten)
    fireHierarchyUpdate()
    return updateText(changed.size(), added.size(), split.size(), pointsLeft(points - split, there, added), kept)
}

/** Return the image's objects that have one of these ids, by id. No others are kept: an image may have millions. */
Map<String, List> objectsById(Collection<String> ids) {
    def wanted = new HashSet(ids)
    return allObjects().findAll { wanted.contains(it.getID().toString()) && (canBeCandidate(it) || it.isTMACore()) }
        .groupBy { it.getID().toString() }
}

/** Return, by the id of each point's own object, what its points object lies in, such as a core of a microarray. */
Map parentsOfPoints(Map points, Map there) {
    def parents = [:]
    points.each { id, ids ->
        def parent = there.containsKey(id) ? there[id][0].getParent() : null
        if (parent != null && !parent.isRootObject())
            ids.each { parents[it] = parent }
    }
    return parents
}

/** Add objects to the image, each below its parent where `parents` names one by the object's id. */
void addBelow(Map parents, List objects) {
    def hierarchy = getCurrentHierarchy()
    def parted = objects.split { parents.containsKey(it.getID().toString()) }
    parted[0].each { hierarchy.addObjectBelowParent(parents[it.getID().toString()], it, false) }
    if (!parted[1].isEmpty())
        hierarchy.addObjects(parted[1])
}

/** Put the hot spot of this run in the place of an earlier run's. */
void replaceHotSpot(List spots) {
    def hierarchy = getCurrentHierarchy()
    def earlier = allObjects().findAll { isHotSpot(it) }
    if (!earlier.isEmpty())
        hierarchy.getSelectionModel().clearSelection()
    earlier.each { hierarchy.removeObject(it, true) }
    if (!spots.isEmpty())
        hierarchy.addObjects(spots)
}

/** Take the rates of an earlier run from the regions whose id is not among these, and return them. */
List forgetRegions(Collection<String> ids) {
    def earlier = allObjects().findAll { hasRegionRate(it) && !ids.contains(it.getID().toString()) }
    earlier.each { region ->
        def list = region.getMeasurementList()
        new ArrayList(region.getMeasurements().keySet()).findAll { isOfRegionRate(it) }.each { list.remove(it) }
        list.close()
    }
    return earlier
}

/** Count the points objects that may stand beside their points: still there, or some of their points were added. */
int pointsLeft(Map points, Map there, List added) {
    def ids = added.collect { it.getID().toString() } as Set
    return points.count { id, ofPoints -> there.containsKey(id) || ofPoints.any { ids.contains(it) } }
}

String updateText(int updated, int added, int split, int left, int kept) {
    def told = ["${updated} objects updated"]
    if (added > 0)
        told << "${added} added"
    if (split > 0)
        told << "${split} points objects replaced by one object for each point"
    if (kept > 0)
        told << "${kept} classes set by hand were kept"
    if (left > 0)
        told << "${left} points objects are not there, or have other points by now: look for figures that stand twice"
    return told.join(', ')
}

/** Return, by the id of each points object with several points, the ids of the objects that the result has for them. */
Map<String, List> pointsByObject(Map collection) {
    def points = [:]
    collection.features.each { feature ->
        // Not feature.properties, which Groovy 6 takes for the properties of the map itself.
        def properties = feature.get('properties')
        def metadata = properties == null ? null : properties.metadata
        def source = metadata == null ? null : metadata['slidemitosis.source_id']
        def found = source == null ? null : (source =~ /^([0-9a-fA-F-]{36})#\d+$/)
        if (found != null && found.matches())
            points.get(found.group(1), []) << feature.id
    }
    return points
}

/** Return whether a user has called this object Atypical or Normal, and the last run had not, or had otherwise. */
boolean setByHand(object, Double threshold) {
    def stated = statedCall(className(object))
    if (stated == null)
        return false
    def p = object.getMeasurementList().get('P(atypical)')
    if (Double.isNaN(p))
        return true
    def recorded = lastCall(object, threshold)
    return recorded != null && recorded != stated
}

void updateObject(old, now, boolean keepClass) {
    if (!keepClass)
        old.setPathClass(now.getPathClass())
    def list = old.getMeasurementList()
    def news = now.getMeasurements()
    def isOurs = { String name -> isOurMeasurement(name) || (hasRegionRate(now) && isOfRegionRate(name)) }
    new ArrayList(old.getMeasurements().keySet()).each {
        if (isOurs(it) && !news.containsKey(it))
            list.remove(it)
    }
    def values = [:]
    news.each { name, value ->
        if (isOurs(name) || !old.getMeasurements().containsKey(name))
            values[name] = value as double
    }
    list.putAll(values)
    list.close()
    if (old.getName() == null && now.getName() != null)
        old.setName(now.getName())
    updateMetadata(metadataOf(old), metadataOf(now))
}

void updateMetadata(Map old, Map now) {
    new ArrayList(old.keySet()).each {
        if (it.startsWith('slidemitosis.') && !now.containsKey(it))
            old.remove(it)
    }
    now.each { key, value ->
        if (key.startsWith('slidemitosis.') || !old.containsKey(key))
            old.put(key, value)
    }
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
// <<< results

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
    ]
}

/** Return whether a person runs this script on the image that is open, rather than a program on many. */
boolean runsAlone() {
    def gui = getQuPath()
    if (gui == null || !gui.getImageData().is(getCurrentImageData()))
        return false
    def size = ScriptAttributes.BATCH_SIZE
    return !binding.hasVariable(size) || binding.getVariable(size) == null || binding.getVariable(size) <= 1
}

/** Return what slidemitosis must know of the image. Throws with the reason where it cannot read what QuPath shows. */
Map checkedImage(Map place) {
    if (getCurrentImageData() == null)
        refuse('no image is open; open one, or use "Run for project"')
    def server = getCurrentServer()
    def reason = movedReason(builderTypes(server.getBuilder()))
    if (reason != null)
        refuse(reason)
    def uris = new ArrayList(server.getURIs())
    def path = uris.size() == 1 ? GeneralTools.toPath(uris[0]) : null
    if (path == null)
        refuse("this image is not one file on this computer (${uris.join(', ') ?: 'no address'}); copy it here first")
    if (!Files.isRegularFile(path))
        refuse("${path}: no such file; tell the project where it is now (open the image, and QuPath asks)")
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

/** Return a setting: what the script states (`here`), which is remembered, or what was remembered, or `fallback`. */
String setting(String name, String here, String fallback) {
    def remembered = PathPrefs.createPersistentPreference("slidemitosis.${name}".toString(), fallback)
    if (here != null)
        remembered.set(here)
    return remembered.get() ?: fallback
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
        if (place.alone)
            show { it.showInfoNotification('slidemitosis', done) }
    } catch (InterruptedException e) {
        writeStatus(place, 'failed', 'cancelled')
        say('cancelled; nothing was changed')
        throw e
    } catch (Exception e) {
        // The one place that catches broadly: QuPath goes on to the next image and forgets why this one failed.
        def known = e instanceof IllegalStateException || e instanceof IOException
        def reason = known && e.getMessage() ? e.getMessage() : e.toString()
        writeStatus(place, 'failed', reason)
        say("failed: ${reason}")
        if (place.alone)
            show { it.showErrorMessage('slidemitosis', reason) }
        if (!place.alone || !known)
            throw e
    }
}

/** Throw a reason, in one line. It never has a cause: QuPath would show the message of the cause instead. */
void refuse(CharSequence reason) {
    throw new IllegalStateException(reason.toString())
}

void say(CharSequence text) {
    println "slidemitosis: ${text}"
}

/**
 * Call `action` with QuPath's dialogs. Their package has moved, so QuPath's default imports must name it; without these
 * the log is enough.
 */
void show(Closure action) {
    try {
        action.call(Dialogs)
    } catch (MissingPropertyException ignored) {
        say('(turn on "Include default imports" in the script editor to see this as a dialog)')
    }
}

void writeStatus(Map place, String outcome, String reason) {
    if (place.folder == null)
        return
    def row = [
        script: SCRIPT, entry_id: place.id, image: place.name, outcome: outcome, what: reason,
        time: java.time.LocalDateTime.now().withNano(0).toString(),
    ]
    try {
        replaceRows(new File(place.folder, 'status.csv'), ['script', 'entry_id', 'image', 'outcome', 'what', 'time'],
            [script: SCRIPT, entry_id: place.id], 'entry_id', [row])
    } catch (IOException | IllegalStateException e) {
        say("status.csv could not be written: ${e.getMessage()}")
    }
}
// <<< report

// >>> files
Map readJson(File file) {
    if (!file.isFile())
        refuse("${file}: no such file")
    try {
        def found = file.withReader('UTF-8') { new Gson().fromJson(it, Map) }
        if (found == null)
            refuse("${file}: is empty")
        return found
    } catch (JsonSyntaxException ignored) {
        refuse("${file}: is not JSON, or cut off; write it again")
    }
}

/** Return an id as a file's name: an underscore stands for all but letters, digits and dashes. */
String fileName(String id) {
    return id.replaceAll(/[^A-Za-z0-9_-]/, '_')
}

void makeFolder(File folder) {
    Files.createDirectories(folder.toPath())
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

void moveWhole(File from, File to) {
    try {
        Files.move(from.toPath(), to.toPath(), StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE)
    } catch (IOException e) {
        throw new IOException("${to} cannot be written (${e.getClass().getSimpleName()}); is it open in another " +
            'program?')
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
