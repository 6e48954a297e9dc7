import com.google.gson.Gson
import com.google.gson.JsonSyntaxException
import groovy.transform.Field
import java.util.concurrent.LinkedBlockingQueue
import java.util.concurrent.TimeUnit
import java.util.stream.Collectors

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
    if (said.endsWith('No module named slidemitosis'))
        return "${said}; ${INSTALL}"
    // The folder is the script's, and nobody can choose another in QuPath.
    return inQuPathsWords(said.replaceFirst(/; choose another --out.*/,
        '; make room there and allow writing, or copy the project to where you may write'))
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
            def told = "${event.what ?: 'classifying'} ${(long) event.done} of ${(long) event.total}"
            // What follows the last figure, the files and the report, takes a while too.
            def ended = event.done >= event.total
            tellProgress(ended ? 'writing results and report' : told, ended ? -1 : event.done / event.total)
            int now = event.total > 0 ? (int) (10 * event.done / event.total) : 10
            if (now != tenths)
                say(told)
            tenths = now
        } else if (event.event == 'message') {
            // The reason of a failure is said once, at its end.
            if (event.level == 'error')
                error = event.text
            else
                say(inQuPathsWords(event.level == 'info' ? event.text : "${event.level}: ${event.text}"))
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
