import com.google.gson.GsonBuilder
import com.google.gson.JsonParseException
import com.google.gson.ToNumberPolicy
import java.nio.file.AccessDeniedException
import java.nio.file.FileAlreadyExistsException
import java.nio.file.FileSystemException
import java.nio.file.Files
import java.nio.file.StandardCopyOption

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
