import groovy.transform.Field
import java.util.concurrent.TimeUnit
import javafx.application.Platform
import javafx.scene.control.Label
import qupath.lib.gui.prefs.PathPrefs
import qupath.lib.plugins.parameters.ParameterList

import static qupath.lib.gui.scripting.QPEx.*

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
