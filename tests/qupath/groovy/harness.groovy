/*
 * Run scripts of QuPath without QuPath, on the stand-ins beside this file, and write reports of it.
 *
 * Standard input: the path of a JSON file on each line. Its "steps" are done in turn, on the same images and the same
 * project; each gives a report in the file <path>.report, after which "done" is said. A step runs a whole script as
 * QuPath does, or calls one of its functions.
 */

import com.google.gson.Gson
import com.google.gson.GsonBuilder
import groovy.transform.Field
import javax.script.CompiledScript
import javax.script.ScriptContext
import javax.script.ScriptEngine
import javax.script.ScriptEngineManager
import javax.script.ScriptException
import javax.script.SimpleScriptContext
import javafx.application.Platform
import org.codehaus.groovy.runtime.InvokerHelper
import qupath.lib.images.servers.ImageServerBuilder
import qupath.lib.objects.classes.PathClass
import qupath.lib.scripting.ScriptAttributes
import standin.GeoJson
import standin.Session
import standin.StandinBuilder
import standin.StandinEntry
import standin.StandinGui
import standin.StandinHierarchy
import standin.StandinImage
import standin.StandinKey
import standin.StandinProject
import standin.StandinServer

/** What was compiled, by its text. */
@Field Map<String, CompiledScript> compiled = [:]
@Field Map<String, Class> parsed = [:]

System.in.eachLine('UTF-8') { path ->
    def reports = played(new File(path).withReader('UTF-8') { new Gson().fromJson(it, Map) })
    def gson = new GsonBuilder().serializeNulls().serializeSpecialFloatingPointValues().create()
    new File(path + '.report').setText(gson.toJson(reports), 'UTF-8')
    System.out.println('done')
    System.out.flush()
}
// What a test has left behind keeps no Groovy alive.
System.exit(0)

List<Map> played(Map scenario) {
    Session.version = scenario.qupath
    Session.settings = scenario.settings
    Session.preferences = new LinkedHashMap(scenario.preferences ?: [:])
    Session.project = scenario.project == null ? null : new StandinProject(folder: new File(scenario.project))
    def images = scenario.images.collect { imageOf(it) }
    [scenario.images, images].transpose().each { stated, image ->
        if (Session.project != null)
            Session.project.entries << entryOf(stated, image)
    }
    return scenario.steps.collect { step -> step.call ? called(step) : ran(step, images) }
}

StandinImage imageOf(Map stated) {
    def mpp = (stated.mpp ?: [Double.NaN, Double.NaN]) as double[]
    def uris = stated.uris.collect { new URI(it) }
    def builder = new ImageServerBuilder.DefaultImageServerBuilder(args: stated.args as String[])
    if (stated.containsKey('builder'))
        builder = stated.builder == null ? null : new StandinBuilder(json: plain(stated.builder))
    def server = new StandinServer(width: stated.width as int, height: stated.height as int, uris: uris, mpp: mpp,
        name: stated.name, serverType: 'OpenSlide', builder: builder, damaged: stated.damaged == true)
    Session.restoring = true
    def objects = stated.objects == null ? [] : new File(stated.objects).withInputStream { GeoJson.read(it) }
    Session.restoring = false
    return new StandinImage(server, new StandinHierarchy(objects))
}

/** Return the image's entry in the project, with its data file; "broken": the text of a file that QuPath cannot read. */
StandinEntry entryOf(Map stated, StandinImage image) {
    def folder = Session.project.folder.toPath().resolve('data').resolve(stated.entry)
    def entry = new StandinEntry(stated.entry, stated.name, image, folder)
    entry.saveImageData()
    if (stated.broken)
        folder.resolve('data.qpdata').toFile().setText(stated.broken, 'UTF-8')
    return entry
}

/** Call one function of a script, without running the script. */
Map called(Map step) {
    def out = new StringWriter()
    def loader = new GroovyClassLoader(getClass().getClassLoader())
    def type = parsed.computeIfAbsent(scriptText(step.script)) { loader.parseClass(it) }
    def script = InvokerHelper.createScript(type, new Binding([out: new PrintWriter(out, true)]))
    (step.fields ?: [:]).each { name, value -> script.metaClass.setAttribute(script, name, plain(value)) }
    def result = [:]
    def caught = inThread(step) {
        result.result = script.invokeMethod(step.call, step.args.collect { plain(it) } as Object[])
    }
    return result + caught + [log: out.toString().readLines()]
}

/** Return a value from Gson with whole numbers, which it reads as doubles, NaN, read as a text, and {"file": path}. */
Object plain(Object value) {
    if (value == 'NaN')
        return Double.NaN
    if (value instanceof Map && value.keySet() == ['file'] as Set)
        return new File(value.file)
    if (value instanceof Map)
        return value.collectEntries { k, v -> [k, plain(v)] }
    if (value instanceof List)
        return value.collect { plain(it) }
    return value instanceof Double && value == Math.rint(value) && Math.abs(value) < 1e9 ? value as int : value
}

/** Run a whole script, as the script editor, "Run for project" or the command line does. */
Map ran(Map step, List<StandinImage> images) {
    Session.image = images[step.image as int]
    def open = images[(step.containsKey('open') ? step.open : step.image) as int]
    Session.gui = step.gui == false ? null : new StandinGui(imageData: open)
    Session.chosen = step.choose == null ? null : new File(step.choose)
    Session.answer = step.containsKey('answer') ? step.answer : [:]
    Session.failing = step.failing
    Session.atStart = step.at_start == true
    [Session.dialogs, Session.events, Session.logged, Session.windows, Session.asked]*.clear()
    def entry = Session.project?.entries?.find { it.data.is(Session.image) }
    if (step.reload)
        entry.reload()
    def hierarchy = Session.image.getHierarchy()
    if (step.select != null)
        hierarchy.selected = hierarchy.objects.findAll { it.getID().toString() in step.select }
    (step.reclassify ?: [:]).each { id, name ->
        hierarchy.objects.findAll { it.getID().toString() == id }.each { it.setPathClass(classNamed(name)) }
    }
    hierarchy.objects.each { object -> (step.unmeasure ?: []).each { object.getMeasurementList().remove(it) } }
    def byId = { id -> hierarchy.objects.find { it.getID().toString() == id } }
    (step.within ?: [:]).each { id, parent ->
        hierarchy.objects.findAll { it.getID().toString() == id }.each { it.parent = byId(parent) }
    }
    if (step.forget)
        hierarchy.objects.removeAll { it.getID().toString() in step.forget }
    def out = new StringWriter()
    int size = (step.batch ?: 1) as int
    def alone = Session.gui != null && size == 1 && Session.image.is(open)
    def saves = step.containsKey('save') ? step.save : !alone
    def bound = [args: (step.args ?: []) as String[]]
    bound[ScriptAttributes.BATCH_SIZE] = size
    bound[ScriptAttributes.BATCH_INDEX] = (step.index ?: 0) as int
    bound[ScriptAttributes.BATCH_SAVE] = saves
    bound[ScriptAttributes.FILE_PATH] = new File(step.script).getAbsolutePath()
    def text = scriptText(step.script, step.imports != false)
    def result = inThread(step) { evaluate(text, new File(step.script).getName(), bound, out) }
    joinWindows()
    def windows = Session.windows.collect { it.seen() }
    def before = step.keys == null ? [] : copied(hierarchy.objects)
    (step.keys ?: []).each { key ->
        if (key == 'undo')
            hierarchy.undo(before)
        else if (key instanceof List)
            hierarchy.selected = hierarchy.objects.findAll { it.getID().toString() in key }
        else
            Session.windows[-1].scene.onKeyPressed.call(new StandinKey(code: key))
        joinWindows()
        windows << Session.windows[-1].seen()
    }
    (step.presses ?: []).each { Session.windows[0].press(it) }
    // "Run for project" saves even if the script has failed; without windows QuPath does not.
    if (entry != null && (step.save_after || (saves && (Session.gui != null || result.error_class == null))))
        entry.saveImageData()
    endSession(Session.gui)
    return result + [
        log: out.toString().readLines(), dialogs: new ArrayList(Session.dialogs), events: new ArrayList(Session.events),
        workflow: Session.image.getSteps().collect { [it.name, it.parameterMap, it.script] },
        listed: (Session.gui == null ? Session.project?.pathClasses : Session.gui.availablePathClasses)?.collect { it?.toString() },
        windows: windows, asked: new ArrayList(Session.asked), logged: new ArrayList(Session.logged), preferences: new LinkedHashMap(Session.preferences), run: Session.image.getProperty('slidemitosis.run'),
        objects: hierarchy.objects.collect { GeoJson.written(it) },
        selected: hierarchy.selected.collect { it.getID().toString() },
        parents: hierarchy.objects.collectEntries { [it.getID().toString(), parentId(it)] },
        metadata: entry == null ? [:] : new LinkedHashMap(entry.getMetadataMap()), synced: Session.project?.synced,
    ]
}

/** Return what QuPath's Undo puts in the place of objects: others of the same ids. */
List copied(List objects) {
    return objects.collect {
        def copy = GeoJson.readObject(GeoJson.written(it))
        copy.parent = it.parent
        copy
    }
}

String parentId(object) {
    return object.parent.isRootObject() ? null : object.parent.getID().toString()
}

PathClass classNamed(String name) {
    return name == null ? null : PathClass.fromCollection(name.split(':')*.trim() as List)
}

/** Close the viewer, after what waits for a save has seen one. */
void endSession(StandinGui gui) {
    def waiting = Thread.getAllStackTraces().keySet().findAll { it.getName() == 'slidemitosis saved' }
    if (Session.image.isChanged() && gui != null)
        gui.imageData = null
    waiting.each { it.join(10_000) }
    joinWindows()
}

/** Let QuPath's windows do what they were asked to. */
void joinWindows() {
    Thread.getAllStackTraces().keySet().findAll { it.getName() == Platform.NAME }.each { it.join(10_000) }
}

/** Work in a new thread, as QuPath does, interrupted at the start or once a file is there. Returns how it ended. */
Map inThread(Map step, Closure work) {
    def result = [error: null, error_class: null]
    def left = false
    def thread = new Thread({
        if (step.interrupted)
            Thread.currentThread().interrupt()
        try {
            work.call()
        } catch (Throwable caught) {
            def e = caught instanceof ScriptException ? rootCause(caught) : caught
            result = [error: e.getMessage(), error_class: e.getClass().getSimpleName()]
        }
        left = Thread.currentThread().isInterrupted()
    } as Runnable)
    Session.thread = thread
    thread.start()
    if (step.interrupt_when != null) {
        while (thread.isAlive() && !new File(step.interrupt_when).exists())
            thread.join(50)
        if (step.press != null)
            Session.windows[0].press(step.press)
        else
            thread.interrupt()
    }
    thread.join()
    return result + [left_interrupted: left]
}

Throwable rootCause(Throwable e) {
    return e.getCause() == null ? e : rootCause(e.getCause())
}

/** Evaluate a script by a script engine, as QuPath does, which keeps what it has compiled. */
void evaluate(String text, String name, Map bound, Writer out) {
    def context = new SimpleScriptContext()
    bound.each { key, value -> context.setAttribute(key, value, ScriptContext.ENGINE_SCOPE) }
    context.setAttribute(ScriptEngine.FILENAME, name, ScriptContext.ENGINE_SCOPE)
    context.setWriter(out)
    compiled.computeIfAbsent(text) { new ScriptEngineManager().getEngineByName('groovy').compile(it) }.eval(context)
}

/** Return the script with QuPath's default imports in front of it, which a user can turn off. */
String scriptText(String path, boolean imports = true) {
    def text = new File(path).getText('UTF-8')
    Session.settings.each { name, value ->
        def stated = text.find(~/(?m)^@Field \w+ ${name} = .*$/)
        text = stated == null ? text : text.replace(stated, stated.replaceFirst(/= .*$/, '= ') + value)
    }
    if (!imports)
        return text
    def dialogs = Session.version == '0.4' ? 'qupath.lib.gui.dialogs.Dialogs' : 'qupath.fx.dialogs.Dialogs'
    def classes = [
        dialogs, 'javafx.application.Platform', 'qupath.lib.common.GeneralTools', 'qupath.lib.io.GsonTools',
        'qupath.lib.projects.Projects', 'qupath.lib.gui.scripting.QPEx',
    ]
    return classes.collect { "import ${it};" }.join(' ') + ' import static qupath.lib.gui.scripting.QPEx.*\n' + text
}
