/*
 * slidemitosis in QuPath 0.5 to 0.8: the menu Extensions > slidemitosis. For research use only.
 *
 * Run it once: it makes itself the script that QuPath runs at its start, and adds the menu. Without the windows,
 * "QuPath script slidemitosis_menu.groovy" does so for the next start. QuPath has one such script: one that was there
 * before is named in startup_before.txt, beside this file, and still runs, first. "slidemitosis qupath uninstall" sets
 * REMOVED: the next run puts that script back in its place, and takes this file away.
 */

// Put together from slidemitosis/qupath/groovy: an action, and the parts between ">>>" and "<<<". Change
// only settings here; change anything else there, and run: python -m slidemitosis.qupath.assemble

import com.google.gson.GsonBuilder
import com.google.gson.JsonParseException
import com.google.gson.ToNumberPolicy
import groovy.transform.Field
import java.nio.file.AccessDeniedException
import java.nio.file.FileAlreadyExistsException
import java.nio.file.FileSystemException
import java.nio.file.Files
import java.nio.file.StandardCopyOption
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
