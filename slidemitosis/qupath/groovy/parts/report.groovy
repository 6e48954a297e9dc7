import groovy.transform.Field

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
