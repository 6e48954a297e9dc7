/*
 * slidemitosis in QuPath 0.5 to 0.8: the menu Extensions > slidemitosis. For research use only.
 *
 * Run it once: it makes itself the script that QuPath runs at its start, and adds the menu. Without the windows,
 * "QuPath script slidemitosis_menu.groovy" does so for the next start. QuPath has one such script: one that was there
 * before is named in startup_before.txt, beside this file, and still runs, first. "slidemitosis qupath uninstall" sets
 * REMOVED: the next run puts that script back in its place, and takes this file away.
 */

import groovy.transform.Field
import java.nio.file.Files
import javafx.application.Platform
import qupath.lib.gui.prefs.PathPrefs
import qupath.lib.scripting.ScriptAttributes

import static qupath.lib.gui.scripting.QPEx.*

// ---- Settings.

/** Whether the menu goes, and the startup script that was there before comes back. */
@Field boolean REMOVED = false

// ---- What is done.

/** The entries of the menu, and the script of each, in this file's folder. */
@Field Map<String, String> COMMANDS = [
    'Classify mitoses': 'classify_image', 'Review figures': 'review_figures', 'Show result': 'show_result',
    'Import results': 'import_results', 'Export candidates': 'export_candidates',
    'Export corrections': 'export_corrections', 'Settings': 'settings',
]

settleMenu(new File(binding.getVariable(ScriptAttributes.FILE_PATH).toString()))

void settleMenu(File own) {
    if (!PathPrefs.metaClass.respondsTo(PathPrefs, 'startupScriptProperty')) {
        say('QuPath 0.4 has no startup script, and so no menu; run the scripts from Automate > User scripts')
        return
    }
    def former = new File(own.getParentFile(), 'startup_before.txt')
    if (REMOVED)
        removeMenu(own, former)
    else
        keepMenu(own, former)
    // QuPath runs the startup script in the thread of its windows, and a person who runs this one does not.
    def before = former.isFile() ? former.getText('UTF-8') : ''
    if (getQuPath() != null && Platform.isFxApplicationThread() && !before.isEmpty())
        runFormer(new File(before))
    if (REMOVED) {
        [own, former].each { Files.deleteIfExists(it.toPath()) }
        own.getParentFile().delete() // if nothing else is in it
    } else if (getQuPath() != null) {
        COMMANDS.each { name, script -> addCommand(name, new File(own.getParentFile(), script + '.groovy')) }
    }
}

/** Make this file the startup script of QuPath, and note which one was there before. */
void keepMenu(File own, File former) {
    def startup = PathPrefs.startupScriptProperty()
    if (startup.get() == own.getPath()) {
        // "slidemitosis qupath install --qupath" waits for a word, and a person at QuPath's start does not.
        if (getQuPath() == null)
            say('the menu Extensions > slidemitosis is there already')
        return
    }
    writeWhole(former, startup.get() ?: '')
    startup.set(own.getPath())
    PathPrefs.savePreferences()
    say("the menu Extensions > slidemitosis is there from QuPath's next start, and now if QuPath shows its window")
}

/** Put the startup script back that was there before; one that was chosen since stays. */
void removeMenu(File own, File former) {
    def startup = PathPrefs.startupScriptProperty()
    if (startup.get() == own.getPath()) {
        startup.set(former.isFile() ? former.getText('UTF-8') ?: null : null)
        PathPrefs.savePreferences()
    }
    say("the menu Extensions > slidemitosis is gone from QuPath's next start")
}

void runFormer(File script) {
    try {
        getQuPath().runScript(script, null)
    } catch (Exception e) {
        // It fails as it would without the menu, which must not be lost for that.
        say("${script}: the startup script failed: ${reasonOf(e)}")
    }
}

void addCommand(String name, File script) {
    getQuPath().installCommand("Extensions>slidemitosis>${name}".toString()) {
        def thread = new Thread({ runCommandOf(script) } as Runnable, 'slidemitosis')
        thread.setDaemon(true)
        thread.start()
    }
}

/** Run a script as a command of the menu. What fails, the script has shown. */
void runCommandOf(File script) {
    if (!script.isFile()) {
        def reason = "${script}: is not there; run \"slidemitosis qupath install --menu\" again".toString()
        show { it.showErrorMessage('slidemitosis', reason) }
        return
    }
    try {
        getQuPath().runScript(script, null)
    } catch (Exception e) {
        say("${script.getName()}: ${reasonOf(e)}")
    }
}

// parts: report, files
