/*
 * slidemitosis in QuPath 0.4 to 0.8: which class, model and Python "classify image" proposes to a person. For research
 * use only.
 *
 * They are what its dialog shows first. "Run for project" and the command line use the settings at the top of that
 * script instead.
 */

// Put together from slidemitosis/qupath/groovy: an action, and the parts between ">>>" and "<<<". Change
// only settings here; change anything else there, and run: python -m slidemitosis.qupath.assemble

import com.google.gson.Gson
import com.google.gson.GsonBuilder
import com.google.gson.JsonParseException
import com.google.gson.ToNumberPolicy
import groovy.transform.Field
import java.nio.file.AccessDeniedException
import java.nio.file.FileAlreadyExistsException
import java.nio.file.FileSystemException
import java.nio.file.Files
import java.nio.file.StandardCopyOption
import java.util.concurrent.ExecutionException
import java.util.concurrent.FutureTask
import java.util.concurrent.TimeUnit
import javafx.application.Platform
import javafx.geometry.Insets
import javafx.scene.Scene
import javafx.scene.control.Button
import javafx.scene.control.Label
import javafx.scene.layout.HBox
import javafx.scene.layout.VBox
import javafx.stage.Stage
import org.slf4j.LoggerFactory
import qupath.lib.common.GeneralTools
import qupath.lib.gui.dialogs.ParameterPanelFX
import qupath.lib.gui.prefs.PathPrefs
import qupath.lib.images.servers.ImageServerBuilder
import qupath.lib.io.GsonTools
import qupath.lib.plugins.parameters.ParameterList
import qupath.lib.projects.Projects
import qupath.lib.scripting.ScriptAttributes

import static qupath.lib.gui.scripting.QPEx.*

// ---- Settings, as they come.

/** The Python that slidemitosis is installed in. "slidemitosis qupath install" fills it in. */
@Field String PYTHON = null
/** The class of the objects to classify. */
@Field String CANDIDATE_CLASS = 'Mitosis'
/** Name of a model, or its folder; '' is the one that "slidemitosis classify" takes by itself. */
@Field String MODEL = ''

// ---- What is done.

@Field String SCRIPT = 'settings'

reported { Map place -> askForSettings() }

// >>> dialog
/** Objects wider than this, in um, are regions that hold figures; "slidemitosis classify" has the same limit. */
@Field double WIDEST_UM = 100

/** How the dialog calls the model that "slidemitosis classify" takes by itself. */
@Field String DEFAULT_MODEL = 'default'

/**
 * Return what to classify, and with what: "objects", "which" these are, whether they are "selected", their "base"
 * class, "model" and "python". A person who runs the script alone is asked; null where that person cancels.
 */
Map askedFor(Map place, Map image) {
    // A script that QuPath's Workflow has made states what was chosen in the run that it repeats.
    def stated = attribute('slidemitosis')
    if (!place.alone || stated != null) {
        def own = ownSettings() + (stated ?: [:])
        return own + wholeClass(own.base)
    }
    def shown = proposed()
    def choices = objectChoices(shown.base, image)
    def params = new ParameterList()
        .addChoiceParameter('objects', 'Objects', choices[0].label, choices*.label,
            'Select figures, or an annotation around some, to classify these alone')
    if (!confirmedWithTest('slidemitosis: classify mitoses', withMeans(params, shown)))
        return null
    def chosen = choices.find { it.label == params.getChoiceParameterValue('objects') }
    return remembered(params, chosen.base) + chosen
}

/** Ask for what `askedFor` proposes. */
String askForSettings() {
    def shown = proposed()
    def params = new ParameterList().addStringParameter('base', 'Class', shown.base, 'The class of the candidates')
    if (confirmedWithTest('slidemitosis: settings', withMeans(params, shown)))
        remembered(params, params.getStringParameterValue('base').trim())
    return null
}

Map<String, String> ownSettings() {
    return [base: CANDIDATE_CLASS, model: MODEL, python: PYTHON ?: '']
}

/** Return the settings, or what was last chosen in place of them. */
Map<String, String> proposed() {
    return ownSettings().collectEntries { name, value -> [name, preference(name).get() ?: value] }
}

/** Keep what was chosen for the next dialog, which shows it, and return it. */
Map<String, String> remembered(ParameterList params, String base) {
    def model = params.getChoiceParameterValue('model')
    def taken = [base: base, model: model == DEFAULT_MODEL ? '' : model,
        python: params.getStringParameterValue('python').trim()]
    def own = ownSettings()
    inWindows { taken.each { name, value -> preference(name).set(value == own[name] ? '' : value) } }
    return taken
}

/** Return what is kept under a name; '' where that is what the settings say. */
Object preference(String name) {
    return PathPrefs.createPersistentPreference("slidemitosis.${name}".toString(), '')
}

/** Add the model and the Python to parameters. */
ParameterList withMeans(ParameterList params, Map<String, String> shown) {
    def model = shown.model ?: DEFAULT_MODEL
    def models = ([DEFAULT_MODEL] + modelNames(shown.python) + model).unique()
    return params.addChoiceParameter('model', 'Model', model, models, 'As "slidemitosis models" lists them')
        .addStringParameter('python', 'Python', shown.python, 'The Python in which slidemitosis is installed')
}

Map wholeClass(String name) {
    def objects = candidateObjects(name)
    def label = "all ${figureCount(objects)} of class ${name}".toString()
    return [label: label, base: name, objects: objects, selected: false, which: "class ${name}".toString()]
}

/** Return what can be classified, the likeliest first: what is selected, or lies in a selected region, or a class. */
List<Map> objectChoices(String base, Map image) {
    def (regions, figures) = selectedObjects().split { isRegion(it.getROI(), image) }
    def of = [base: base, selected: true, which: 'selected']
    def choices = []
    if (!figures.isEmpty())
        choices << of + [label: "${figureCount(figures)} selected".toString(), objects: figures]
    if (!regions.isEmpty()) {
        def inside = candidateObjects(base).findAll { object -> regions.any { isInside(object, it) } }
        choices << of + [objects: inside, label: "${figureCount(inside)} of class ${base} in ${regions.size() == 1 ?
            'the selected annotation' : regions.size() + ' selected annotations'}".toString()]
    }
    def others = allObjects().findAll { canBeCandidate(it) && !isRegion(it.getROI(), image) }
        .collect { baseClass(className(it)) }.unique().sort()
    return choices + ([base] + others).unique().collect { wholeClass(it) }
}

/** Return how many figures objects are: each point of a points object is one. */
int figureCount(List objects) {
    return objects.collect { it.getROI().isPoint() ? it.getROI().getNumPoints() : 1 }.sum(0) as int
}

boolean isInside(object, region) {
    def roi = object.getROI()
    return !object.is(region) && region.getROI().contains(roi.getCentroidX(), roi.getCentroidY())
}

/** Return the selected objects that can be candidates. */
List selectedObjects() {
    return new ArrayList(getCurrentHierarchy().getSelectionModel().getSelectedObjects()).findAll { canBeCandidate(it) }
}

boolean isRegion(roi, Map image) {
    double um = Math.max(roi.getBoundsWidth() * image.mppX, roi.getBoundsHeight() * image.mppY)
    return !roi.isPoint() && !Double.isNaN(um) && um > WIDEST_UM
}

/** Show a button that tries Python below parameters. */
boolean confirmedWithTest(String title, ParameterList params) {
    return inWindows {
        def said = new Label('')
        confirmed(title, params,
            [buttonOf('Test') { sayVersion(params.getStringParameterValue('python').trim(), said) }, said])
    }
}

/** Say whether this Python has slidemitosis, without holding up the windows. */
void sayVersion(String python, Label said) {
    said.setText('...')
    def thread = new Thread({
        def found = outputOf([python, '-I', '-m', 'slidemitosis', '--version'])
        Platform.runLater({
            said.setText(found.isEmpty() ? 'does not find slidemitosis; run "slidemitosis qupath install"' : found)
        } as Runnable)
    } as Runnable, 'slidemitosis test')
    thread.setDaemon(true)
    thread.start()
}

/** Return the names of the models that slidemitosis lists; none where it cannot be asked. */
List<String> modelNames(String python) {
    return outputOf([python, '-I', '-m', 'slidemitosis', 'models']).readLines()
        .collect { it =~ /^(\S+) \S+(?: \(default\))?: / }.findAll { it.find() }.collect { it.group(1) }
}

/** Return what a command says; '' where it fails, or takes too long. */
String outputOf(List<String> words) {
    try {
        def builder = new ProcessBuilder(words)
        ['PYTHONHOME', 'PYTHONPATH'].each { builder.environment().remove(it) }
        def process = builder.redirectError(ProcessBuilder.Redirect.DISCARD).start()
        process.getOutputStream().close()
        def said = new String(process.getInputStream().readAllBytes(), 'UTF-8').trim()
        return process.waitFor(20, TimeUnit.SECONDS) && process.exitValue() == 0 ? said : ''
    } catch (IOException | IndexOutOfBoundsException ignored) {
        return ''
    }
}
// <<< dialog

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

// >>> objects
/** Return the objects of a class and of the classes derived from it. */
List objectsOfClass(String wanted) {
    return allObjects().findAll {
        canBeCandidate(it) && isOfClass(className(it), wanted)
    }
}

/** Return the candidates: the objects of a class, and those of which a person has said since that they are none. */
List candidateObjects(String wanted) {
    return objectsOfClass(wanted) + deniedObjects(wanted)
}

/** Return what a run has classified or a person answered about, and what a person has given another class since. */
List deniedObjects(String wanted) {
    def others = allObjects().findAll {
        def list = it.getMeasurementList()
        canBeCandidate(it) && !isOfClass(className(it), wanted) &&
            ['P(atypical)', 'Reviewed'].any { name -> !Double.isNaN(list.get(name)) }
    }
    // Figures of another class of candidates are called by another run.
    def called = others.collect { className(it) }.findAll { statedCall(it) != null }.collect { baseClass(it) } as Set
    return others.findAll { statedCall(className(it)) == null && !called.contains(className(it)) }
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
